#!/usr/bin/env python3
"""Clients of two other systems, written from what their contracts say, against `airlock serve`.

    tests/blackbox/dropin_test.py

Amon's runner: GET /health and POST /run. The SwissBrain executor: POST /execute.
"""

import base64
import json
import shutil
import sys
import threading
import time
import unittest

import case
from case import SLOW
from service import Service
from support import leftovers

SLOTS = 2


class AmonClient:
    """What an Amon application does to have code run."""

    def __init__(self, service, key=None):
        self.service = service
        self.headers = {"Authorization": f"Bearer {key}"} if key else {}

    def run(self, code, language="python", timeout_s=10, files=(), **more):
        body = {"language": language, "code": code, "timeout_s": timeout_s,
                "input_files": [{"path": path, "content_b64": base64.b64encode(data).decode()}
                                for path, data in files], **more}
        return self.service.ask_json("POST", "/run", body, self.headers)


class Dropin(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.before = leftovers.snapshot()
        cls.service = Service("--slots", str(SLOTS))
        cls.service.__enter__()
        cls.amon = AmonClient(cls.service)

    @classmethod
    def tearDownClass(cls):
        code = cls.service.stop()
        left = leftovers.remaining(cls.before)
        if code != 0 or left:
            raise AssertionError(f"exit code {code}, left behind: {left}")

    def run_amon(self, *arguments, **options):
        status, answer = self.amon.run(*arguments, **options)
        self.assertEqual(status, 200, answer)
        return answer


class Amon(Dropin):
    FIELDS = {"id", "job_id", "request_id", "exit_code", "stdout", "stderr", "duration_ms",
              "timed_out", "output_files"}

    def test_code_files_and_outputs(self):
        answer = self.run_amon(
            "import pathlib\nprint(pathlib.Path('/input/a/b.txt').read_text())\n"
            "pathlib.Path('/output/sub').mkdir()\n"
            "pathlib.Path('/output/sub/z').write_bytes(b'\\x00\\xff')\n"
            "pathlib.Path('/output/a').write_text('A')", files=[("a//b.txt", b"in")],
            request_id="mine")
        self.assertEqual(set(answer), self.FIELDS)
        self.assertEqual((answer["exit_code"], answer["stdout"], answer["timed_out"]),
                         (0, "in\n", False))
        self.assertEqual(answer["request_id"], "mine")
        self.assertRegex(answer["job_id"], r"\A[0-9a-f]{32}\Z")
        self.assertEqual([(f["path"], base64.b64decode(f["content_b64"]), f["size"])
                          for f in answer["output_files"]],
                         [("a", b"A", 1), ("sub/z", b"\x00\xff", 2)])

    def test_a_program_starts_in_work(self):
        answer = self.run_amon("echo x > /work/f && cat f && ls /work", language="bash")
        self.assertEqual((answer["exit_code"], answer["stdout"].split()[0]), (0, "x"))
        self.assertIn("f", answer["stdout"].split()[1:])

    def test_a_program_that_fails_is_an_answer(self):
        self.assertEqual(self.run_amon("exit 7", language=" BASH ")["exit_code"], 7)
        self.assertEqual(self.run_amon("kill -SEGV $$", language="bash")["exit_code"], 139)
        self.assertIn("ZeroDivisionError", self.run_amon("1/0")["stderr"])

    def test_a_timeout_keeps_what_was_printed(self):
        started = time.monotonic()
        answer = self.run_amon("print('so far', flush=True)\nimport time\ntime.sleep(60)",
                               timeout_s=1)
        self.assertLess(time.monotonic() - started, 10 * SLOW)
        self.assertEqual((answer["exit_code"], answer["timed_out"], answer["stdout"]),
                         (124, True, "so far\n"))

    def test_the_contracts_errors(self):
        for body, status, detail in (
                ({"language": "ruby", "code": ""}, 400, "language=python"),
                ({"language": "python", "code": "", "timeout_s": 0}, 400, "timeout_s"),
                ({"language": "python", "code": "", "timeout_s": 121}, 400, "1~120"),
                ({"language": "python", "code": "x" * 131073}, 400, "code 大小超過上限"),
                ({"language": "python", "code": "", "input_files": [
                    {"path": "../x", "content_b64": ""}]}, 400, "segment"),
                ({"language": "python", "code": "", "input_files": [
                    {"path": "x", "content_b64": "?"}]}, 400, "base64"),
                ([], 422, ""), ("nonsense", 422, "")):
            answer = self.service.ask_json("POST", "/run", body)
            self.assertEqual(answer[0], status, answer)
            self.assertIn(detail, json.dumps(answer[1]["detail"], ensure_ascii=False))

    def test_a_busy_runner_says_so_at_once(self):
        sleepers = [threading.Thread(target=self.amon.run, args=("sleep 3", "bash"))
                    for _ in range(SLOTS)]
        for thread in sleepers:
            thread.start()
        time.sleep(0.5)
        started = time.monotonic()
        answer = self.amon.run("true", "bash")
        self.assertLess(time.monotonic() - started, 1.5 * SLOW)
        self.assertEqual(answer, (429, {"detail": "runner busy, please retry"}))
        for thread in sleepers:
            thread.join()

    def test_health_and_events(self):
        health = self.service.ask_json("GET", "/health")[1]
        self.assertEqual(health["concurrency"]["max"], SLOTS)
        self.assertTrue(health["docker"]["available"])
        answer = self.run_amon("true", language="bash", request_id="for-the-log")
        lines = [line for line in self.service.log if line.get("request_id") == "for-the-log"]
        self.assertEqual([line["event"] for line in lines],
                         ["sandbox.run.start", "sandbox.run.finish"])
        self.assertEqual(lines[1]["job_id"], answer["job_id"])
        self.assertEqual((lines[1]["status"], lines[1]["exit_code"]), ("ok", 0))


class SwissBrain(Dropin):
    def execute(self, code, language="python", **more):
        return self.service.ask_json("POST", "/execute", {
            "code": code, "language": language, "user_id": "anonymous", "tier": "free", **more},
            {"X-API-Key": "a key that nobody asks for"})

    def test_code_is_executed(self):
        status, answer = self.execute("print('hi')", timeout_seconds=5)
        self.assertEqual(status, 200)
        self.assertEqual((answer["stdout"], answer["exit_code"]), ("hi\n", 0))
        self.assertEqual(answer["security_warnings"], [])
        self.assertGreater(answer["execution_time_ms"], 0)
        self.assertEqual(self.execute("echo $((6*7)); exit 3", "shell")[1]["exit_code"], 3)

    @unittest.skipUnless(shutil.which("node"), "needs Node.js")
    def test_other_languages_are_taken_too(self):
        self.assertEqual(self.execute("console.log(6*7)", "javascript")[1]["stdout"], "42\n")

    def test_the_tier_limits(self):
        self.assertEqual(self.execute("sleep 60", "shell", timeout_seconds=1)[1]["outcome"],
                         "wall_timeout")
        bomb = "import os, time\nfor _ in range(60):\n  os.fork() or time.sleep(5)"
        self.assertNotEqual(self.execute(bomb)[1]["exit_code"], 0)

    def test_errors_are_a_text(self):
        status, answer = self.execute("x", "cobol")
        self.assertEqual((status, list(answer)), (400, ["error"]))


if __name__ == "__main__":
    sys.exit(case.run_tests(__name__))
