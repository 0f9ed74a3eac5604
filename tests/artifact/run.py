#!/usr/bin/env python3
"""Artifacts against a real S3 server, and in folders: what arrives is what was sent, or nothing.

    tests/artifact/run.py [CLASS[.TEST]...]

The server is started once (some 15 s) and ended with us. What takes long is in
tests/soak/artifact_soak.py.
"""

import contextlib
import hashlib
import http.server
import json
import os
import shutil
import signal
import ssl
import subprocess
import sys
import threading
import time
import unittest
import urllib.parse

import tool
from artifact_case import MEBIBYTE, PART, PARTS, QUICK, Bucket, Case, server, sha256_of_zeros
# Below tests/blackbox, which artifact_case has put into the path.
import jobs_test
from case import run_tests
from support import s3_server, tampering_proxy

MEMORY_MAX = 64 * MEBIBYTE


def setUpModule():
    unittest.addModuleCleanup(server.stop)
    server.start()


class RoundTrip(Bucket):
    FILES = {"plain.txt": b"content", "empty": b"", "with blank+plus=equals": b"1",
             "percent%41&and?hash#": b"2", "ünïcödé/日本語/🙂": b"3", "a/b/c/d/e/f": b"4",
             "quote'\"\\back": b"5", "~tilde;semi,comma:colon@at!": b"6", ".hidden": b"7",
             "binary": bytes(range(256)) * 100}

    def test_every_name_and_byte_comes_back(self):
        self.write(self.FILES)
        sent = self.done("push", self.uri, self.source).digests()
        self.assertEqual(sent, {name: (len(content), hashlib.sha256(content).hexdigest())
                                for name, content in self.FILES.items()})
        self.assertEqual(self.keys(), {f"jobs/1/{name}": len(content)
                                       for name, content in self.FILES.items()})
        for spelling in (self.uri, f"{self.uri}/", f"{self.bucket}/jobs/1",
                         f"https://{self.bucket}.any.host/jobs/1"):
            shutil.rmtree(self.target)
            self.target.mkdir()
            self.assertEqual(self.done("fetch", spelling, self.target).digests(), sent)
            self.assertEqual(self.read(), self.FILES)

    def test_others_read_what_we_wrote_and_we_what_they_did(self):
        self.write({"a b+c=ü": b"ours"})
        self.done("push", self.uri, self.source)
        self.assertEqual(server.request("GET", f"/{self.bucket}/jobs/1/a b+c=ü"), (200, b"ours"))
        server.request("PUT", f"/{self.bucket}/jobs/2/é =+", body=b"theirs")
        self.done("fetch", f"s3://{self.bucket}/jobs/2/", self.target)
        self.assertEqual(self.read(), {"é =+": b"theirs"})

    def test_one_object_becomes_input_data(self):
        self.write({"data.csv": b"1,2", "data.csv.old": b"0"})
        self.done("push", self.uri, self.source)
        self.done("fetch", f"{self.uri}/data.csv", self.target)
        self.assertEqual(self.read(), {"input_data": b"1,2"})

    def test_an_output_replaces_what_was_there(self):
        for content in (b"old", b"new"):
            self.write({"a": content})
            self.done("push", self.uri, self.source)
        self.done("fetch", f"{self.uri}/a", self.target)
        self.assertEqual(self.read(), {"input_data": b"new"})

    def test_a_prefix_of_more_than_a_page(self):
        self.write({f"{number:04}": b"x" for number in range(1_050)})
        self.done("push", self.uri, self.source)
        self.assertEqual(len(self.keys()), 1_050)
        self.assert_refused(self.tool("--files-max", 1_049, "fetch", self.uri, self.target),
                            "limit_exceeded", "more than 1049")
        self.assertEqual(self.read(), {})
        self.done("fetch", self.uri, self.target)
        self.assertEqual(len(self.read()), 1_050)

    def test_what_is_too_large_is_not_fetched(self):
        self.write({"a": b"x" * 1_000, "b": b"y" * 1_000})
        self.done("push", self.uri, self.source)
        self.assert_refused(self.tool("--bytes-max", 1_999, "fetch", self.uri, self.target),
                            "limit_exceeded", "limit of 2 KiB")
        self.assertEqual(self.read(), {})
        self.done("--bytes-max", 2_000, "fetch", self.uri, self.target)


class Large(Bucket):
    SIZE = 300 * MEBIBYTE + 1

    def test_a_file_in_parts_takes_little_memory_both_ways(self):
        self.write_hole("hole", self.SIZE)
        digest = {"hole": (self.SIZE, sha256_of_zeros(self.SIZE))}
        sent = self.done(*PARTS, "push", self.uri, self.source)
        self.assertEqual(sent.digests(), digest)
        self.assertEqual(self.keys(), {"jobs/1/hole": self.SIZE})
        got = self.done("fetch", self.uri, self.target)
        self.assertEqual(got.digests(), digest)
        for done in (sent, got):
            self.assertGreater(done.memory_bytes, 0)
            self.assertLess(done.memory_bytes, MEMORY_MAX)
        print(f"{self.SIZE >> 20} MiB: up {sent.seconds:.1f} s, {sent.memory_bytes >> 20} MiB "
              f"resident; down {got.seconds:.1f} s, {got.memory_bytes >> 20} MiB", flush=True)


class Interrupted(Bucket):
    SIZE = 40 * MEBIBYTE

    def begin(self, *options):
        self.write({"big": os.urandom(self.SIZE)})
        running = tool.Running(self.environment, *options, *PARTS, "push", self.uri, self.source)
        self.addCleanup(running.process.kill)
        self.assertTrue(running.wait_for_bytes(3 * PART), running.said)
        return running

    def unfinished(self):
        return server.request("GET", f"/{self.bucket}", "uploads=")[1].count(b"<UploadId>")

    def assert_whole(self):
        self.done("fetch", f"{self.uri}/", self.target)
        self.assertEqual(self.read(), {"big": (self.source / "big").read_bytes()})
        self.assertEqual(self.unfinished(), 0)

    def assert_survives_the_server(self, running):
        """`running` stands still: the server dies under it, and comes back."""
        server.kill_gateway()
        running.send(signal.SIGCONT)
        time.sleep(1)
        server.start_gateway()
        done = running.finish()
        self.assertEqual(done.status, 0, done.said())
        self.assert_whole()

    def test_killed_nothing_is_seen_and_the_next_push_cleans_up(self):
        self.begin().kill()
        self.assertEqual(self.keys(), {})
        self.assertEqual(self.unfinished(), 1)
        self.assertEqual(self.done("sweep", f"s3://{self.bucket}/jobs", 3600).stdout, "0\n")
        self.done("push", self.uri, self.source)
        self.assert_whole()

    def test_killed_a_sweep_cleans_up(self):
        self.begin().kill()
        self.assertEqual(self.done("sweep", f"s3://{self.bucket}/elsewhere", 0).stdout, "0\n")
        self.assertEqual(self.done("sweep", f"s3://{self.bucket}/jobs", 0).stdout, "1\n")
        self.assertEqual(self.unfinished(), 0)

    def test_cancelled_nothing_is_left(self):
        running = self.begin()
        began = time.monotonic()
        running.send(signal.SIGTERM)
        self.assert_refused(running.finish(), "cancelled")
        self.assertLess(time.monotonic() - began, 20)
        self.assertEqual((self.keys(), self.unfinished()), ({}, 0))

    def test_at_the_deadline_nothing_is_left(self):
        self.write_hole("hole", 8 * PART)
        running = tool.Running(self.environment, "--deadline-ms", 1_500, *PARTS, "push", self.uri,
                               self.source)
        running.wait_for_bytes(PART)
        running.send(signal.SIGSTOP)
        time.sleep(2)
        running.send(signal.SIGCONT)
        self.assert_refused(running.finish(), "limit_exceeded", "did not end in its time")
        self.assertEqual((self.keys(), self.unfinished()), ({}, 0))

    def test_a_server_that_dies_and_comes_back_gets_the_rest(self):
        running = self.begin("--attempts", 10, "--wait-ms", 250)
        self.assert_survives_the_server(running)

    def test_a_download_goes_on_after_the_server_came_back(self):
        self.write({"big": os.urandom(self.SIZE)})
        self.done("push", self.uri, self.source)
        running = tool.Running(self.environment, "--attempts", 10, "--wait-ms", 250, "fetch",
                               f"{self.uri}/", self.target)
        self.assertTrue(running.wait_for_bytes(PART))
        running.send(signal.SIGSTOP)
        self.assert_survives_the_server(running)

    def test_a_download_that_was_killed_leaves_no_file_under_its_name(self):
        self.write({"big": os.urandom(self.SIZE)})
        self.done("push", self.uri, self.source)
        running = tool.Running(self.environment, "fetch", f"{self.uri}/", self.target)
        self.assertTrue(running.wait_for_bytes(PART))
        running.kill()
        self.assertFalse((self.target / "big").exists())
        self.done("fetch", f"{self.uri}/", self.target)
        self.assertEqual((self.target / "big").read_bytes(), (self.source / "big").read_bytes())

    def test_a_server_that_is_away_gives_an_error_or_is_waited_for(self):
        self.write({"big": b"content"})
        server.kill_gateway()
        try:
            self.assert_refused(self.tool(*QUICK, "push", self.uri, self.source), "unavailable",
                                server.url, "cannot be reached", "after 3 attempts")
            running = tool.Running(self.environment, "--attempts", 10, "--wait-ms", 100, "push",
                                   self.uri, self.source)
            time.sleep(2)
            self.assertIsNone(running.process.poll())
        finally:
            server.start_gateway()
        self.assertEqual(running.finish().status, 0)
        self.assert_whole()


class Refused(Bucket):
    def setUp(self):
        super().setUp()
        self.write({"a": b"content"})

    def push(self, uri=None, options=(), **environment):
        # Waits would be seen: nothing here is tried again.
        done = self.tool("--wait-ms", 60_000, *options, "push", uri or self.uri, self.source,
                         **environment)
        self.assertEqual(self.keys(), {})
        return done

    def test_a_wrong_secret(self):
        self.assert_refused(self.push(S3_SECRET_KEY="wrong"), "permission_denied", "secret key",
                            "SignatureDoesNotMatch", "hint: look at S3_SECRET_KEY")

    def test_an_unknown_access_key(self):
        self.assert_refused(self.push(S3_ACCESS_KEY="UNKNOWN"), "permission_denied",
                            "does not know the access key", "hint: look at S3_ACCESS_KEY")

    def test_somebody_elses_bucket(self):
        self.assert_refused(self.push(S3_ACCESS_KEY=s3_server.OTHER_ACCESS_KEY,
                                      S3_SECRET_KEY=s3_server.OTHER_SECRET_KEY),
                            "permission_denied", "do not allow this", "AccessDenied", "PutObject")

    def test_a_missing_bucket(self):
        self.assert_refused(self.push("s3://no-such-bucket/out"), "not_found",
                            'no bucket "no-such-bucket"', "endpoint")
        self.assert_refused(self.tool("fetch", "s3://no-such-bucket/in", self.target),
                            "not_found", 'no bucket "no-such-bucket"')

    def test_a_missing_key(self):
        for uri in (f"{self.uri}/nothing", f"{self.uri}/nothing/"):
            self.assert_refused(self.tool("fetch", uri, self.target), "not_found", uri)
        self.assertEqual(self.read(), {})

    def test_no_credentials(self):
        self.assert_refused(self.push(S3_ACCESS_KEY="", S3_SECRET_KEY=""), "unavailable",
                            "no credentials", "S3_ACCESS_KEY")
        self.assert_refused(self.push(S3_SECRET_KEY=""), "invalid_argument", "only one")

    def test_a_clock_that_is_wrong(self):
        self.assert_refused(self.push(options=("--clock-offset", -3_600)), "permission_denied",
                            "clocks differ", "RequestTimeTooSkewed", "set this host's clock")

    def test_an_endpoint_that_speaks_no_tls(self):
        done = self.tool(*QUICK, "push", self.uri, self.source,
                         S3_ENDPOINT=server.url.replace("http:", "https:"))
        self.assert_refused(done, "unavailable", "no TLS connection")

    def test_keys_that_lead_astray_are_refused_by_name(self):
        for number, bad in enumerate(("../evil", "/etc/evil", "a/../../evil", "a//b", "bell\a",
                                      "x" * 300)):
            prefix = f"hostile/{number}/"
            server.request("PUT", f"/{self.bucket}/{prefix}good", body=b"1")
            self.assertEqual(server.request("PUT", f"/{self.bucket}/{prefix}{bad}", body=b"2")[0],
                             200)
            done = self.tool("fetch", f"s3://{self.bucket}/{prefix}", self.target)
            self.assert_refused(done, "invalid_argument", bad.replace("\a", "\\x07")[:150])
            self.assertEqual(self.read(), {})
        self.assertFalse((self.folder / "evil").exists())

    def test_an_object_that_is_a_folder_as_well(self):
        for key in ("a", "a/b"):
            server.request("PUT", f"/{self.bucket}/both/{key}", body=b"1")
        self.assert_refused(self.tool("fetch", f"s3://{self.bucket}/both/", self.target),
                            "invalid_argument", '"a/b"')
        self.assertEqual(self.read(), {})


class Tampered(Bucket):
    WORD, OTHER = b"MARKED-WORD", b"OTHER-WORDS"

    def setUp(self):
        super().setUp()
        self.write({"a": b"." * 1_000 + self.WORD + b"." * 1_000})

    def test_an_upload_that_was_changed_on_its_way_is_refused_by_the_server(self):
        with tampering_proxy.TamperingProxy(server.port, self.WORD, self.OTHER) as proxy:
            done = self.tool(*QUICK, "push", self.uri, self.source, S3_ENDPOINT=proxy.url)
        self.assertEqual(proxy.changed, 1)
        self.assert_refused(done, "io", "what arrived is not what was sent")
        self.assertEqual(self.keys(), {})

    def test_a_download_that_was_changed_on_its_way_is_refused_by_us(self):
        self.done("push", self.uri, self.source)
        with tampering_proxy.TamperingProxy(server.port, self.WORD, self.OTHER) as proxy:
            done = self.tool(*QUICK, "fetch", f"{self.uri}/a", self.target, S3_ENDPOINT=proxy.url)
        self.assertEqual(proxy.changed, 1)
        self.assert_refused(done, "io", "what arrived is not what is stored")
        self.assertEqual(self.read(), {})


class Tls(Case):
    """A server with a certificate of its own; what it answers does not matter."""

    def setUp(self):
        super().setUp()
        self.certificate = self.folder / "certificate.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
                        "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
                        "-keyout", self.folder / "key.pem", "-out", self.certificate],
                       check=True, capture_output=True)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, self.folder / "key.pem")
        handler = type("Quiet", (http.server.SimpleHTTPRequestHandler,),
                       {"log_message": lambda *_: None,
                        "do_GET": lambda self: self.send_error(404)})
        self.peer = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.peer.socket = context.wrap_socket(self.peer.socket, server_side=True)
        self.addCleanup(self.peer.server_close)
        self.addCleanup(self.peer.shutdown)
        threading.Thread(target=self.peer.serve_forever, daemon=True).start()

    def fetch(self, host, **environment):
        return self.tool(*QUICK, "fetch", "s3://bucket/key", self.target,
                         S3_ENDPOINT=f"https://{host}:{self.peer.server_port}", **environment)

    def test_a_stranger_is_not_trusted_unless_named(self):
        self.assert_refused(self.fetch("localhost"), "permission_denied", "certificate",
                            "S3_CA_FILE")
        self.assert_refused(self.fetch("localhost", S3_CA_FILE=str(self.certificate)), "not_found",
                            "no such key")

    def test_a_certificate_of_another_name_is_not_trusted(self):
        self.assert_refused(self.fetch("127.0.0.1", S3_CA_FILE=str(self.certificate)),
                            "permission_denied", "certificate")


class Jobs(Bucket):
    """A whole job whose inputs come from the server and whose outputs go there."""

    PROGRAM = """
import hashlib, os, pathlib, sys
if sys.argv[2] == "inference":
    for name in ("a.csv", "deep/b.bin"):
        content = pathlib.Path("/input", name).read_bytes()
        pathlib.Path("/output", name.replace("/", "-")).write_text(
            hashlib.sha256(content).hexdigest())
    with open("/output/large", "wb") as large: large.truncate(70 << 20)
"""

    def runner(self):
        self.folder.chmod(0o755)  # the service is another user
        world = self.folder / "world"
        world.mkdir()
        environment = {name: value for name, value in server.environment().items()
                       if name.startswith("S3_")}
        return jobs_test.Runner(world, env=environment)

    def submit(self, runner, **more):
        runner.commit(inference_py=self.PROGRAM)
        return runner.submit(disk_quota_gb=0.125, input_data_s3_path=f"s3://{self.bucket}/in/",
                             output_data_s3_path=f"s3://{self.bucket}/out/", **more)

    def put(self, key, content):
        self.assertEqual(server.request("PUT", f"/{self.bucket}/{key}", body=content)[0], 200)

    def test_inputs_and_outputs_with_the_manifest_last(self):
        inputs = {"a.csv": b"1,2\n", "deep/b.bin": os.urandom(100_000)}
        for name, content in inputs.items():
            self.put("in/" + name, content)
        with self.runner() as runner:
            record = runner.wait(self.submit(runner), ("completed",), 120)
        for name, content in inputs.items():
            status, body = server.request("GET", f"/{self.bucket}/out/{name.replace('/', '-')}")
            self.assertEqual((status, body.decode()), (200, hashlib.sha256(content).hexdigest()))
        manifest = json.loads(
            server.request("GET", f"/{self.bucket}/out/airlock-manifest.json")[1])
        self.assertEqual(manifest["state"], "completed")
        large = [output for output in manifest["outputs"] if output["path"] == "large"][0]
        self.assertEqual(large["sha256"], sha256_of_zeros(70 << 20))
        self.assertEqual({entry["path"] for entry in record["inputs"]}, set(inputs))

    def test_a_missing_bucket_is_said(self):
        with self.runner() as runner:
            runner.commit(inference_py=self.PROGRAM)
            job = runner.submit(input_data_s3_path="s3://no-such-bucket/in/")
            record = runner.wait(job, ("failed",), 120)
        self.assertEqual(record["error_code"], "input_failed")
        self.assertIn("no-such-bucket", record["error_message"])


class Folders(Case):
    def setUp(self):
        super().setUp()
        self.root = self.folder / "root"
        self.root.mkdir()
        self.uri = f"file://{urllib.parse.quote(str(self.root))}/out"
        self.rooted = ("--root", self.root)

    def test_every_name_and_byte_comes_back(self):
        self.write(RoundTrip.FILES)
        sent = self.done(*self.rooted, "push", self.uri, self.source, "plain.txt")
        self.assertEqual(list(sent.digests())[-1], "plain.txt")
        got = self.done(*self.rooted, "fetch", self.uri, self.target)
        self.assertEqual(got.digests(), sent.digests())
        self.assertEqual(self.read(), RoundTrip.FILES)
        shutil.rmtree(self.target)
        self.target.mkdir()
        self.done(*self.rooted, "fetch", f"{self.uri}/a/b/c/d/e/f", self.target)
        self.assertEqual(self.read(), {"input_data": b"4"})

    def test_nothing_outside_of_the_roots(self):
        (self.root / "link").symlink_to("/etc")
        for path in ("/etc/passwd", f"{self.root}/link/passwd", f"{self.root}/../x",
                     f"{self.root}x/a"):
            done = self.tool(*self.rooted, "fetch", f"file://{path}", self.target)
            self.assertEqual(done.status, 1, done.said())
            done = self.tool(*self.rooted, "push", f"file://{path}", self.source)
            self.assertTrue(done.status == 1 or done.stdout == "", done.said())
        self.assertEqual(self.read(), {})

    def test_killed_nothing_is_seen_and_the_next_push_cleans_up(self):
        self.write_hole("big", 400 * MEBIBYTE)
        running = tool.Running(self.environment, *self.rooted, "push", self.uri, self.source)
        self.assertTrue(running.wait_for_bytes(PART))
        running.send(signal.SIGSTOP)
        other = self.folder / "other"
        other.mkdir()
        (other / "small").write_bytes(b"1")
        # The first one lives, though it stands still: what it writes is not taken away.
        self.done(*self.rooted, "push", self.uri, other)
        self.assertEqual(len(list((self.root / "out").glob(".airlock-part-*"))), 1)
        running.kill()
        self.assertFalse((self.root / "out/big").exists())
        self.done(*self.rooted, "push", self.uri, other)
        self.assertEqual([path.name for path in (self.root / "out").iterdir()], ["small"])

    def test_a_full_disk_leaves_nothing(self):
        with contextlib.ExitStack() as stack:
            subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "none", self.root],
                           check=True)
            stack.callback(subprocess.run, ["umount", self.root], check=True)
            self.write_hole("big", 4 * MEBIBYTE)
            done = self.tool(*self.rooted, "push", self.uri, self.source)
            self.assert_refused(done, "io", "No space left")
            self.assertEqual(list((self.root / "out").iterdir()), [])


if __name__ == "__main__":
    sys.exit(run_tests("__main__"))
