#!/usr/bin/env python3
"""The verbs that ask a service about jobs, against a service of the tests' own that says what a
test wants, lies among it. jobs_test.py has the real one.

    tests/blackbox/client_test.py
"""

import json
import os
import pty
import select
import signal
import ssl
import subprocess
import sys
import threading
import time

import case
from client_case import (CANCELLED, FAILED, GOES_ON, NO, REPOSITORY, SLOW, TIMEOUT, USAGE, Client)

from support import airlock
from support.fake_runner import JOB, KEY, entry, job


class Reaching(Client):
    def test_a_service_that_is_not_there_says_what_to_do(self):
        for words in (["jobs"], ["status"], ["status", JOB], ["logs", JOB], ["logs", "-f", JOB],
                      ["cancel", JOB], ["outputs", JOB], ["submit", REPOSITORY],
                      ["submit", "-f", REPOSITORY]):
            if "-f" in words and words[0] == "logs":
                continue  # it waits for a service that may come back
            out, err = self.ask(*words, "--server", "http://127.0.0.1:1", expect=FAILED)
            self.assertEqual(out, "")
            self.assertIn("no service answers at http://127.0.0.1:1: Connection refused", err)
            self.assertIn("start one with: airlock serve", err)

    def test_without_a_server_it_is_where_serve_would_listen(self):
        env = self.environment(AIRLOCK_LISTEN=self.runner.url)
        del env["AIRLOCK_SERVER"]
        self.ask("jobs", env=env)
        self.assertEqual(len(self.runner.seen), 1)

    def test_the_key_comes_from_a_file_or_the_environment(self):
        self.runner.key = KEY
        out, err = self.ask("jobs", expect=FAILED)
        self.assertIn("a key is needed", err)
        self.assertIn("AIRLOCK_API_KEY or --api-key-file", err)
        self.ask("jobs", env=self.environment(AIRLOCK_API_KEY=KEY))
        file = self.write("key", KEY + "\n")
        self.ask("jobs", "--api-key-file", file)
        self.ask("jobs", "--api-key-file", self.folder / "none", expect=USAGE)
        self.ask("jobs", "--ca-file", self.folder / "none", expect=USAGE)
        self.ask("jobs", env=self.environment(AIRLOCK_API_KEY="a b\nc"), expect=USAGE)

    def test_no_proxy_is_asked_about_loopback(self):
        self.ask("jobs", env=self.environment(http_proxy="http://127.0.0.1:1",
                                              all_proxy="http://127.0.0.1:1"))

    def test_tls_is_checked_against_the_authority_that_is_named(self):
        key, certificate = self.folder / "server.key", self.folder / "server.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                        "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=localhost",
                        "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out",
                        str(certificate)], check=True, capture_output=True)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        listener = self.runner.server.socket
        self.runner.server.socket = context.wrap_socket(listener, server_side=True,
                                                        do_handshake_on_connect=False)
        url = self.runner.url.replace("http:", "https:")
        _, err = self.ask("jobs", "--server", url, expect=FAILED)
        self.assertIn("is not to be trusted", err)
        self.assertIn("--ca-file", err)
        self.assertEqual(self.runner.seen, [])
        self.ask("jobs", "--server", url, "--ca-file", certificate)

    def test_commands_that_are_wrong_ask_nobody(self):
        for words in (["status", "../x"], ["logs", "a/b"], ["cancel", "a?b"], ["outputs", "a b"],
                      ["status", JOB, "--server", "ftp://x"], ["jobs", "--limit", "0"],
                      ["jobs", "--nonsense"], ["logs"], ["cancel"], ["submit"],
                      ["submit", REPOSITORY, "--env", "A"], ["submit", "a", "b"],
                      ["submit", "none.yaml"], ["submit", REPOSITORY, "--memory", "much"]):
            with self.subTest(words):
                out, err = self.ask(*words, expect=USAGE)
                self.assertEqual(out, "")
                self.assertTrue(err)
        self.assertEqual(self.runner.seen, [])


class Submitting(Client):
    def test_every_flag_is_in_the_request(self):
        request = self.submitted(
            REPOSITORY, "--branch", "dev", "--commit", "abc1234", "--path", "p", "--weight-class",
            "2xH200", "--input", "s3://b/i", "--output", "s3://b/o/", "--priority", "3", "--env",
            "A=b=c", "--env", "E=", "--miner-hotkey", "m", "--validator-hotkey", "v",
            "--challenge", "c", "--cpu-cores", "1.5", "--memory", "16g", "--disk", "512m",
            "--prep-timeout", "10m", "--inference-timeout", "90", "--min-isolation", "container",
            "--idempotency-key", "k-1")
        self.assertEqual(request, {
            "repo_url": REPOSITORY, "repo_branch": "dev", "repo_commit": "abc1234",
            "repo_path": "p", "weight_class": "2xH200", "input_data_s3_path": "s3://b/i",
            "output_data_s3_path": "s3://b/o/", "priority": 3, "miner_hotkey": "m",
            "validator_hotkey": "v", "challenge": "c", "cpu_cores": 1.5, "memory_gb": 16,
            "disk_quota_gb": 0.5, "prep_timeout_seconds": 600, "inference_timeout_seconds": 90,
            "min_isolation": "container", "custom_env_vars": {"A": "b=c", "E": ""}})
        self.assertEqual(self.runner.seen[0][2]["Idempotency-Key"], "k-1")

    def test_a_file_says_the_same_and_flags_win_over_it(self):
        file = self.write("job.yaml", f"repo: {REPOSITORY}\nmemory: 1g\npriority: 2\n"
                                      "env: {A: x, B: y}\n")
        request = self.submitted(file, "--priority", "5", "--env", "A=z")
        self.assertEqual(request, {"repo_url": REPOSITORY, "memory_gb": 1, "priority": 5,
                                   "weight_class": "0x", "custom_env_vars": {"A": "z", "B": "y"}})
        self.assertEqual(self.submitted(file, "https://other/x")["repo_url"], "https://other/x")
        self.write("bad.yaml", "repo: x\nprioritty: 1\n")
        _, err = self.ask("submit", "bad.yaml", expect=USAGE)
        self.assertIn('bad.yaml:2:1: unknown key "prioritty"', err)
        self.assertIn('did you mean "priority"?', err)

    def test_what_the_service_refuses_is_said(self):
        self.runner.answers["POST", "/v1/jobs/submit"] = lambda handler: handler.answer(
            422, {"detail": [{"type": "value_error", "loc": ["body", "weight_class"],
                              "msg": "no GPUs here; 0x is a job without GPUs"}]})
        _, err = self.ask("submit", REPOSITORY, expect=USAGE)
        self.assertIn("weight_class: no GPUs here", err)

    def test_a_connection_that_breaks_does_not_make_two_jobs(self):
        begun = []

        def breaks(handler):
            begun.append(handler.headers["Idempotency-Key"])
            if len(begun) < 3:
                return handler.raw(b"")
            return self.runner.submit(handler)
        self.runner.answers["POST", "/v1/jobs/submit"] = breaks
        self.submitted(REPOSITORY)
        self.assertEqual(len(begun), 3)
        self.assertEqual(len(set(begun)), 1)

    def test_json_is_what_the_service_says(self):
        out, _ = self.ask("submit", REPOSITORY, "--json")
        self.assertEqual(json.loads(out)["job_id"], JOB)

    def test_an_id_that_is_none_goes_nowhere(self):
        self.runner.answers["POST", "/v1/jobs/submit"] = lambda handler: handler.answer(
            201, {"job_id": "../../x\u001b[2J"})
        for words in ([], ["--follow"]):
            out, err = self.ask("submit", REPOSITORY, *words, expect=USAGE)
            self.assertEqual(out, "")
            self.assertNotIn("\x1b", err)


class Following(Client):
    def setUp(self):
        super().setUp()
        self.runner.on_submit = lambda request: self.runner.jobs[JOB]

    def begin(self, status="prep", log=(), **more):
        self.runner.add(job(status, **more))
        self.runner.logs[JOB] = list(log)

    def end_after(self, seconds, status, **more):
        def end():
            time.sleep(seconds)
            self.runner.jobs[JOB].update(job(status, **more))
        thread = threading.Thread(target=end)
        thread.start()
        self.addCleanup(thread.join)

    def test_the_log_comes_through_and_the_end_is_the_exit_code(self):
        self.begin(log=[("prep", [entry("prep", "stdout", b"fetching\n"),
                                  entry("prep", "stderr", b"warning\n"),
                                  entry("prep", "stdout", b"\xff\x00\n")])])
        self.end_after(0.5, "completed", has_receipt=True, outputs=[
            {"path": "r.json", "size": 3, "sha256": "a" * 64}])
        done = self.airlock("submit", "--follow", REPOSITORY, env=self.environment())
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(done.stdout, b"fetching\n\xff\x00\n")
        err = done.stderr.decode()
        for text in (f"{JOB} submitted", f"{JOB}: prep, 50 %", "warning\n",
                     f"{JOB} completed after 1 min 05 s", "r.json, 3 B",
                     f"airlock outputs {JOB} -o DIR", f"airlock outputs {JOB} --receipt FILE"):
            self.assertIn(text, err)
        self.assertNotIn(f"{JOB}: completed", err)  # the end is said once

    def test_every_end_has_its_own_exit_code(self):
        for status, code in (("failed", NO), ("timeout", TIMEOUT), ("cancelled", CANCELLED)):
            self.runner.jobs.clear()
            self.begin(status, error_code="prep_failed" if code == NO else None,
                       error_message="Prep phase failed" if code == NO else None)
            _, err = self.ask("submit", "-f", REPOSITORY, expect=code)
            self.assertIn(f"{JOB} {status}", err)
            self.assertIn(f"airlock logs {JOB}", err)
            if code == NO:
                self.assertIn("prep_failed: Prep phase failed", err)

    def test_json_is_one_object_a_line(self):
        self.begin(log=[("prep", [entry("prep", "stdout", b"x\n")])])
        self.end_after(0.3, "completed")
        out, err = self.ask("submit", "-f", "--json", REPOSITORY)
        events = [json.loads(line) for line in out.splitlines()]
        self.assertEqual(err, "")
        self.assertEqual([event["event"] for event in events],
                         ["submitted", "state", "log", "state", "ended"])
        self.assertEqual(events[-1]["data"]["status"], "completed")

    def test_a_broken_connection_goes_on_where_it_was(self):
        lines = [entry("prep", "stdout", b"%d\n" % i) for i in range(6)]
        self.begin(log=[("prep", lines)])
        path = ("GET", f"/v1/jobs/{JOB}/logs")

        def breaks(handler):
            handler.begin_events()
            for i in (1, 2, 3):
                handler.event("log", lines[i - 1], f"prep:{i}")
            handler.raw(b"50\r\nid: prep:4\nevent: lo")
            self.runner.answers.pop(path)
        self.runner.answers[path] = breaks
        self.end_after(1, "completed")
        out, err = self.ask("logs", "-f", JOB)
        self.assertEqual(out, "0\n1\n2\n3\n4\n5\n")
        self.assertIn("trying again", err)
        self.assertIn("prep:3", [seen[2].get("Last-Event-ID") for seen in self.runner.seen])

    def interrupt(self, *words):
        process = subprocess.Popen(self.command(*words), stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, env=self.environment())
        deadline = time.monotonic() + 20 * SLOW
        while not [seen for seen in self.runner.seen if "follow" in seen[1]]:
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        begun = time.monotonic()
        out, err = process.communicate(timeout=20 * SLOW)
        self.assertLess(time.monotonic() - begun, 3 * SLOW)
        return process.returncode, out.decode(), err.decode()

    def test_ctrl_c_leaves_the_job_running_and_says_so(self):
        self.begin()
        code, _, err = self.interrupt("submit", "-f", REPOSITORY)
        self.assertEqual(code, GOES_ON)
        self.assertIn(f"{JOB} goes on; to stop it: airlock cancel {JOB}", err)
        self.assertEqual(self.runner.requests("DELETE"), [])
        self.assertEqual(self.runner.jobs[JOB]["status"], "prep")
        self.runner.seen.clear()
        self.assertEqual(self.interrupt("logs", "-f", JOB)[0], GOES_ON)

    def test_a_terminal_has_one_line_of_ours_below_the_log(self):
        self.begin(log=[("prep", [
            entry("prep", "stdout", b"\x1b[31mred\x1b[0m\nhalf"), entry("prep", "stderr", b"oh\n"),
            entry("prep", "stdout", b" line\n\x1b[1A\x1b[2K\x1b]0;title\x07fake\n")])])
        self.end_after(1.5, "completed")
        pid, fd = pty.fork()
        if pid == 0:
            os.execvpe(str(airlock.binary()), self.command("submit", "-f", REPOSITORY),
                       self.environment())
        seen, deadline = b"", time.monotonic() + 20 * SLOW
        while time.monotonic() < deadline:
            if select.select([fd], [], [], 0.05)[0]:
                try:
                    seen += os.read(fd, 65536)
                except OSError:
                    break
        self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), 0, seen)
        os.close(fd)
        text = seen.decode()
        self.assertIn("prep | \x1b[31mred\x1b[0m", text)
        self.assertIn("prep ! oh", text)
        self.assertIn("prep | half line", text)
        self.assertIn("prep | fake", text)
        self.assertIn(f"{JOB}  prep  [##########----------] 50 %", text)
        for harmful in ("\x1b[1A", "\x1b[2K", "title"):
            self.assertNotIn(harmful, text)
        self.assertIn("completed after 1 min 05 s", text.rpartition("\r\x1b[K")[2])

    def test_events_that_are_none_end_it(self):
        self.begin("completed")
        path = ("GET", f"/v1/jobs/{JOB}/logs")
        head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
        for lie in (b"data: {\n\n", b"event: log\ndata: []\n\n", b"<html>\n",
                    b"event: log\ndata: {\"stream\": \"x\"}\n\n", b"data: " + b"x" * (2 << 20)):
            self.runner.answers[path] = lambda handler, lie=lie: handler.raw(
                head + lie.replace(b"data: {\n", b"event: log\ndata: {\n"))
            _, err = self.ask("logs", "-f", JOB, expect=FAILED)
            self.assertIn("service", err)


class Looking(Client):
    def test_jobs_are_a_table(self):
        _, err = self.ask("jobs")
        self.assertIn("there are no jobs", err)
        self.runner.add(job("inference"))
        self.runner.add(job("completed", job_id="job_2", repo_url="https://h/\u001b[2J\u009b"))
        out, _ = self.ask("jobs")
        lines = out.splitlines()
        self.assertEqual(lines[0].split(), ["JOB", "STATE", "CLASS", "AGE", "TIME", "REPOSITORY"])
        self.assertIn("inference, 50 %", lines[1])
        self.assertIn(REPOSITORY, lines[1])
        self.assertIn("1 min 05 s", lines[2])
        self.assertNotIn("\x1b", out)
        self.assertNotIn("\x9b", out)
        out, _ = self.ask("jobs", "--status", "completed,failed", "--text", "a b&c")
        self.assertEqual(len(out.splitlines()), 2)
        self.assertIn("text=a%20b%26c", self.runner.seen[-1][1])

    def test_pages_are_followed_to_the_end_and_no_further(self):
        for i in range(1, 2_502):
            self.runner.add(job(job_id=f"job_{i}"))
        out, err = self.ask("jobs", "--limit", "3")
        self.assertEqual(len(out.splitlines()), 4)
        self.assertIn("there are more", err)
        out, _ = self.ask("jobs", "--all", "--json")
        self.assertEqual(len(json.loads(out)["jobs"]), 2_501)
        self.runner.answers["GET", "/v1/jobs"] = lambda handler: handler.answer(
            200, {"jobs": [job()], "next": "round"})
        _, err = self.ask("jobs", "--all", expect=FAILED)
        self.assertIn("does not end", err)

    def test_a_job_and_the_runner_are_told_whole(self):
        self.runner.add(job(phases=[{
            "name": "prep", "attempt": 1, "started_at": "2026-01-01T00:00:01", "ended_at": "x",
            "log_truncated": False, "result": {
                "outcome": "exited", "exit_code": 0, "usage": {"wall_ms": 1500.0},
                "isolation": {"network": "gateway"}, "denied": []}}], egress=[{
                    "phase": "prep", "host": "evil.example", "port": 443, "allowed": False,
                    "reason": "not in the allow-list"}, {
                    "phase": "prep", "host": "gone.example", "port": 443, "allowed": True,
                    "reason": "the name does not exist", "connections": 2}]))
        out, _ = self.ask("status", JOB)
        for text in (f"{JOB}: completed", "exited, exit code 0, 1.50 s, network gateway",
                     "  refused      prep: evil.example:443: not in the allow-list\n",
                     "  failed       prep: gone.example:443, 2 times: the name does not exist\n"):
            self.assertIn(text, out)
        out, _ = self.ask("status", JOB, "--json")
        self.assertEqual(json.loads(out), self.runner.jobs[JOB])
        _, err = self.ask("status", "job_none", expect=NO)
        self.assertIn("Job not found: job_none", err)
        self.runner.answers["GET", "/v1/status"] = lambda handler: handler.answer(200, {
            "runner_id": "r-1", "status": "operational", "execution_mode": "direct",
            "total_gpus": 8, "available_gpus": 6, "queue_depth": 2, "active_job_ids": [JOB]})
        out, _ = self.ask("status")
        for text in ("runner r-1: operational", "6 of 8 free", "2 jobs wait", JOB):
            self.assertIn(text, out)

    def test_logs_are_the_programs_own_bytes(self):
        self.runner.add(job())
        self.runner.logs[JOB] = [
            ("clone", [entry("clone", "stdout", b"0123456789" * 4 + b"\n")]),
            ("prep", [entry("prep", "stdout", b"p%d\n" % i) for i in range(5)]),
            ("inference", [entry("inference", "stderr", b"warning\n"),
                           entry("inference", "notice", b"cut off\n"),
                           entry("inference", "stdout", b"\x1b[31m\xff\n")])]
        done = self.airlock("logs", JOB, env=self.environment())
        self.assertEqual(done.stdout, b"p0\np1\np2\np3\np4\n\x1b[31m\xff\n")
        self.assertEqual(done.stderr.decode(),
                         f"airlock: phase clone\nairlock: clone: the commit is {'0123456789' * 4}\n"
                         "airlock: phase prep\nairlock: phase inference\n"
                         "warning\nairlock: inference: cut off\n")
        out, _ = self.ask("logs", JOB, "--phase", "prep")
        self.assertEqual(out, "p0\np1\np2\np3\np4\n")
        out, _ = self.ask("logs", JOB, "--json")
        self.assertEqual([json.loads(line) for line in out.splitlines()],
                         [one for _, entries in self.runner.logs[JOB] for one in entries])

    def test_an_unknown_flag_is_named_with_the_nearest_one(self):
        for words, nearest in ((["submit", "file:///x", "--folow"], "--follow"),
                               (["jobs", "--limt", "3"], "--limit"),
                               (["status", JOB, "--jsn"], "--json"),
                               (["logs", JOB, "--phse", "prep"], "--phase"),
                               (["cancel", JOB, "--sever", "x"], "--server"),
                               (["outputs", JOB, "--recept", "x"], "--receipt"),
                               (["verify", "x", "--outptus", "y"], "--outputs"),
                               (["simulate", "x", "--polcy", "all"], "--policy")):
            _, err = self.ask(*words, expect=USAGE)
            self.assertIn(f'{words[0]}: unknown option "', err)
            self.assertIn(f"did you mean {nearest}?", err)

    def test_jobs_are_cancelled_one_by_one(self):
        self.runner.add(job("prep"))
        self.runner.add(job("completed", job_id="job_2"))
        out, err = self.ask("cancel", "job_2", "job_none", JOB, expect=NO)
        self.assertEqual(out, f"{JOB} cancelled\n")
        self.assertIn("job_2 is completed: there is nothing to cancel", err)
        self.assertIn("job_none: Job not found", err)
        self.assertEqual(self.runner.jobs[JOB]["status"], "cancelled")
        out, _ = self.ask("cancel", JOB, "--json")
        self.assertEqual(json.loads(out), {"job_id": JOB, "status": "cancelled"})

    def test_answers_that_lie_harm_nobody(self):
        path = ("GET", f"/v1/jobs/{JOB}")
        for lie in (b"", b"HTTP/1.1 200 OK\r\nContent-Length: 90\r\n\r\n{}", b"SSH-2.0-x\r\n",
                    b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnull",
                    b"HTTP/1.1 200 OK\r\nContent-Length: 40000\r\n\r\n" + b"[" * 40_000,
                    b"HTTP/1.1 302 Found\r\nLocation: file:///etc/passwd\r\n\r\n",
                    b"HTTP/1.1 500 \x1b[2J\r\nContent-Length: 5\r\n\r\n\x1b[2J\xff"):
            self.runner.answers[path] = lambda handler, lie=lie: handler.raw(lie)
            out, err = self.ask("status", JOB, expect=FAILED)
            self.assertEqual(out, "", lie)
            self.assertNotIn("\x1b", err)
        self.runner.answers[path] = lambda handler: handler.answer(200, {"job_id": 7, "phases": 1})
        self.ask("status", JOB)
        self.runner.answers[path] = lambda handler: handler.answer(
            200, json.dumps({"job_id": "\x9b2J\x7f"}, ensure_ascii=False).encode())
        out, _ = self.ask("status", JOB, "--json")
        self.assertEqual(out, '{"job_id": "\\u009b2J\\u007f"}\n')


if __name__ == "__main__":
    sys.exit(case.run_tests(__name__))
