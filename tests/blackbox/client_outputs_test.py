#!/usr/bin/env python3
"""`airlock outputs`: what a service says is in a job is fetched, checked, and lands where it
should, whatever the service says.

    tests/blackbox/client_outputs_test.py
"""

import json
import pathlib
import signal
import subprocess
import sys
import threading
import time

import case
from client_case import CANCELLED, NO, SLOW, USAGE, Client

from support.fake_runner import JOB, job


class Outputs(Client):
    FILES = (("result.json", b'{"a": 1}\n'), ("models/a b.bin", bytes(300_000)), ("empty", b""))

    def fetched(self, folder="out"):
        root = self.folder / folder
        return {str(path.relative_to(root)): path.read_bytes()
                for path in root.rglob("*") if path.is_file()}

    def test_outputs_are_listed_and_fetched_with_their_digests(self):
        self.runner.add(job(), self.FILES)
        out, _ = self.ask("outputs", JOB)
        self.assertEqual(len(out.splitlines()), 4)
        self.assertIn("models/a b.bin", out)
        out, _ = self.ask("outputs", JOB, "--json")
        self.assertEqual(len(json.loads(out)["outputs"]), 3)
        _, err = self.ask("outputs", JOB, "-o", "out/deep")
        self.assertIn("3 files in out/deep", err)
        self.assertEqual(self.fetched("out/deep"), dict(self.FILES))
        self.ask("outputs", JOB, "models", "empty", "-o", "some")
        self.assertEqual(set(self.fetched("some")), {"models/a b.bin", "empty"})
        _, err = self.ask("outputs", JOB, "none", "-o", "some", expect=NO)
        self.assertIn("the job has no output none", err)

    def test_nothing_lands_outside_of_the_folder(self):
        names = ["../evil", "/tmp/evil-of-a-test", "a/../../evil", "a//b", "", ".", "x\n", "x\x1b"]
        self.runner.add(job(), [(name, b"evil") for name in names] + [("good", b"good")])
        (self.folder / "out").mkdir()
        (self.folder / "elsewhere").mkdir()
        (self.folder / "out/link").symlink_to(self.folder / "elsewhere")
        self.runner.add(self.runner.jobs[JOB], [("link/evil", b"evil")])
        _, err = self.ask("outputs", JOB, "-o", "out", expect=NO)
        self.assertNotIn("\x1b", err)
        self.assertEqual(self.fetched(), {"good": b"good"})
        self.assertEqual(sorted(path.name for path in self.folder.iterdir()), ["elsewhere", "out"])
        self.assertEqual(list((self.folder / "elsewhere").iterdir()), [])
        self.assertFalse(pathlib.Path("/tmp/evil-of-a-test").exists())

    def test_a_link_of_that_name_is_replaced_and_not_written_through(self):
        self.runner.add(job(), [("result", b"new")])
        (self.folder / "out").mkdir()
        kept = self.write("kept", "old")
        (self.folder / "out/result").symlink_to(kept)
        self.ask("outputs", JOB, "-o", "out")
        self.assertEqual(kept.read_text(), "old")
        self.assertFalse((self.folder / "out/result").is_symlink())

    def test_what_is_not_what_the_record_says_is_not_kept(self):
        self.runner.add(job(), [("a", b"as it was"), ("b", b"longer"), ("c", b"shorter"),
                                ("d", b"cut"), ("e", b"good"), ("f", b"no digest")])
        self.runner.files[JOB, "a"] = b"as it Was"
        self.runner.files[JOB, "b"] = b"longer" + bytes(1 << 20)
        self.runner.files[JOB, "c"] = b"short"
        self.runner.jobs[JOB]["outputs"][5]["sha256"] = ""
        self.runner.answers["GET", f"/v1/jobs/{JOB}/outputs/d"] = lambda handler: handler.raw(
            b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\ncu")
        _, err = self.ask("outputs", JOB, "-o", "out", expect=NO)
        self.assertEqual(self.fetched(), {"e": b"good"})
        for text in ("a: it is not what the record says", "b: it is larger than the record says",
                     "c: it is not what the record says", "d: the connection",
                     "f: the record has no digest", "1 file in out"):
            self.assertIn(text, err)

    def test_ctrl_c_leaves_nothing_half_written(self):
        self.runner.add(job(), [("big", bytes(1 << 20))])
        begun = threading.Event()

        def drips(handler):
            handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1048576\r\n\r\n"
                                + bytes(9_999))
            handler.wfile.flush()
            begun.set()
            time.sleep(4)
            handler.close_connection = True
        self.runner.answers["GET", f"/v1/jobs/{JOB}/outputs/big"] = drips
        process = subprocess.Popen(self.command("outputs", JOB, "-o", "out"), cwd=self.folder,
                                   stderr=subprocess.PIPE, env=self.environment())
        self.assertTrue(begun.wait(20 * SLOW))
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=20 * SLOW)
        self.assertEqual(process.returncode, CANCELLED)
        self.assertEqual(list((self.folder / "out").iterdir()), [])

    def test_the_receipt_is_saved_as_it_is(self):
        self.runner.add(job(has_receipt=True))
        receipt = (pathlib.Path(__file__).resolve().parent / "data/receipt.json").read_bytes()
        self.runner.receipts[JOB] = receipt
        _, err = self.ask("outputs", JOB, "--receipt", "r.json")
        self.assertEqual((self.folder / "r.json").read_bytes(), receipt)
        self.assertIn("airlock verify r.json", err)
        self.ask("verify", "r.json")
        self.runner.answers["GET", f"/v1/jobs/{JOB}/receipt"] = lambda handler: handler.answer(
            404, {"error": {"code": "not_found", "message": "the job has no receipt",
                            "hint": "a job has one when it has ended"}})
        _, err = self.ask("outputs", JOB, "--receipt", "other.json", expect=NO)
        self.assertIn("a job has one when it has ended", err)
        self.assertFalse((self.folder / "other.json").exists())
        del self.runner.answers["GET", f"/v1/jobs/{JOB}/receipt"]
        self.ask("outputs", JOB, "--receipt", "no/such/folder/r.json", expect=USAGE)


if __name__ == "__main__":
    sys.exit(case.run_tests(__name__))
