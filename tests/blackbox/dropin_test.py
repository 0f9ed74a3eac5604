#!/usr/bin/env python3
"""Clients of two other systems, written from what their contracts say, against `airlock serve`.

    tests/blackbox/dropin_test.py

Amon's runner: GET /health and POST /run. The SwissBrain executor: POST /execute.
"""

import base64
import json
import pathlib
import re
import shutil
import sys
import threading
import time
import unittest

import case
from case import SLOW
from service import ServiceCase

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


class Dropin(ServiceCase):
    WORDS = ("--slots", str(SLOTS))

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.amon = AmonClient(cls.service)

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

    def test_what_is_no_request_is_unprocessable(self):
        for body in ([], "nonsense", "", '"text"', {"timeout_s": "5"}, {"code": 1},
                     {"input_files": {}}, {"input_files": ["a"]}):
            if isinstance(body, dict):
                body = {"language": "python", **body}
            status, answer = self.service.ask_json("POST", "/run", body)
            self.assertEqual((status, list(answer)), (422, ["detail"]), body)

    def test_values_that_are_wrong_are_told_in_the_contracts_words(self):
        def file(path, data=b""):
            return {"path": path, "content_b64": base64.b64encode(data).decode()}

        two_mib = b"x" * 2097152
        for change, detail in (
                ({"language": "ruby"}, "目前僅支援 language=python|bash"),
                ({"timeout_s": 0}, "timeout_s 必須介於 1~120"),
                ({"timeout_s": 121}, "timeout_s 必須介於 1~120"),
                ({"code": "x" * 131073}, "code 大小超過上限"),
                ({"input_files": [file(f"f{i}") for i in range(33)]}, "input_files 數量超過上限"),
                ({"input_files": [{"path": "a//x", "content_b64": "?"}]},
                 "input file 非法 base64: a/x"),
                ({"input_files": [{"path": "x", "content_b64": "YQ"}]},
                 "input file 非法 base64: x"),
                ({"input_files": [file("x", two_mib + b"x")]}, "input file 超過單檔上限: x"),
                ({"input_files": [file(f"f{i}", two_mib) for i in range(4)] + [file("g", b"x")]},
                 "input_files 總大小超過上限"),
                ({"input_files": [file(" ")]}, "path 不可為空"),
                ({"input_files": [file("a\0b")]}, "path 不可包含 NUL"),
                ({"input_files": [file("/etc/x")]}, "不允許絕對路徑"),
                ({"input_files": [file("\\x")]}, "不允許絕對路徑"),
                ({"input_files": [file("C:/x")]}, "不允許絕對路徑"),  # not so there: 4.7
                ({"input_files": [file("a/../x")]}, "path 包含不合法 segment"),
                ({"input_files": [file("..\\x")]}, "path 包含不合法 segment")):
            answer = self.service.ask_json("POST", "/run",
                                           {"language": "python", "code": "", **change})
            self.assertEqual(answer, (400, {"detail": detail}))

    def test_what_is_just_within_the_limits_is_taken(self):
        two_mib = b"x" * 2097152
        answer = self.run_amon("true #" + "x" * (131072 - 6), " Bash ", timeout_s=120,
                               ignored=1, user={"id": 1},
                               files=[(f"f{i}", two_mib if i < 4 else b"") for i in range(32)])
        self.assertEqual((answer["exit_code"], answer["stderr"]), (0, ""))
        self.assertRegex(answer["request_id"], r"\A[0-9a-f]{32}\Z")
        answer = self.run_amon(
            "for i in 1 2 3 4; do head -c 2097152 /dev/zero > /output/$i; done; "
            "for i in $(seq 5 32); do : > /output/$i; done", "bash")
        self.assertEqual((len(answer["output_files"]), answer["output_files"][0]["size"]),
                         (32, 2097152))

    def test_paths_are_normalised(self):
        for given, place in (("a//b", "a/b"), ("a/./b", "a/b"), ("./a", "a"), ("a/", "a"),
                             ("a\\b", "a/b"), (" a ", "a"), ("~/x", "~/x"), ("-rf", "-rf")):
            answer = self.run_amon("cd /input && find . -type f", "bash", files=[(given, b"x")])
            self.assertEqual(answer["stdout"], f"./{place}\n", given)

    def test_outputs_that_are_refused_do_not_take_the_rest_with_them(self):
        for code, detail in (
                ("for i in $(seq 33); do : > /output/$i; done", "output files 數量超過上限"),
                ("ln -s /etc/passwd /output/l", "不允許 symlink output"),
                ("mkdir /output/d && ln -s /etc /output/d/l", "不允許 symlink output"),
                ("head -c 2097153 /dev/zero > /output/x", "output file 超過單檔上限"),
                ("for i in 1 2 3 4 5; do head -c 2097152 /dev/zero > /output/$i; done",
                 "output files 總大小超過上限")):
            status, answer = self.amon.run("echo said; " + code + "; exit 3", "bash")
            self.assertEqual((status, answer["detail"]), (400, detail))
            self.assertEqual((answer["stdout"], answer["exit_code"], answer["output_files"]),
                             ("said\n", 3, []))
            self.assertEqual(set(answer), self.FIELDS | {"detail"})

    def test_what_was_broken_there_is_not_here(self):
        # Code arrives, and the program has a stdin that ends; it is not root and has no network.
        answer = self.run_amon("cat; id -u; pwd; ls /sys/class/net 2>&1; cat < /dev/tcp/1.1.1.1/80",
                               "bash")
        self.assertEqual(answer["stdout"].splitlines()[:2], ["1000", "/work"])
        self.assertIn("Network is unreachable", answer["stderr"])
        # Who keeps the pipes open holds nobody up.
        started = time.monotonic()
        answer = self.run_amon("sleep 60 & echo done", "bash")
        self.assertEqual((answer["stdout"], answer["timed_out"]), ("done\n", False))
        self.assertLess(time.monotonic() - started, 5 * SLOW)
        # Neither the disk nor the streams are without an end.
        answer = self.amon.run("cat /dev/zero > /output/x; rm /output/x; exit 5", "bash")[1]
        self.assertIn("No space left", answer["stderr"])
        answer = self.run_amon("yes", "bash")
        self.assertLess(len(answer["stdout"]), 32 << 20)
        self.assertNotEqual(answer["exit_code"], 0)

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
        self.assertLessEqual({"status", "service", "version", "docker", "concurrency"},
                             set(health))
        self.assertEqual(set(health["docker"]), {"available", "image", "image_present", "error"})
        self.assertEqual((health["status"], health["docker"]["error"]), ("ok", None))
        self.assertTrue(health["docker"]["available"] and health["docker"]["image_present"])
        self.assertEqual([health["concurrency"][name] for name in
                          ("max", "inflight", "utilization")], [SLOTS, 0, 0])
        answer = self.run_amon("echo x > /output/x; exit 3", "bash", timeout_s=7,
                               request_id="記錄", files=[("a", b"abc"), ("b", b"")])
        start, finish = self.events_of("記錄")
        duration = finish.pop("duration_ms")
        self.assertGreaterEqual(duration, answer["duration_ms"])
        self.assertEqual(start, {"event": "sandbox.run.start", "request_id": "記錄",
                                 "job_id": answer["job_id"], "timeout_s": 7,
                                 "code_bytes": len("echo x > /output/x; exit 3")})
        self.assertEqual(finish, {
            "event": "sandbox.run.finish", "request_id": "記錄", "job_id": answer["job_id"],
            "status": "ok", "exit_code": 3, "timed_out": False, "input_files": 2,
            "input_bytes": 3, "output_files": 1, "output_bytes": 2})
        for line in start, finish:  # Python's dicts keep the order of the text
            self.assertEqual(list(line), sorted(line))
        self.amon.run("ln -s / /output/l", "bash", request_id="refused")
        self.assertEqual(self.events_of("refused")[1]["status"], "error")
        self.amon.run("x" * 131073, request_id="never began")
        self.assertEqual(self.events_of("never began"), [])
        self.assertEqual(self.service.other_lines, [])  # nothing that is no JSON object

    def events_of(self, request_id):
        self.service.wait_for_lines()
        return [line for line in self.service.log if line.get("request_id") == request_id]


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

    FIELDS = {"stdout", "stderr", "exit_code", "execution_time_ms", "memory_used_mb", "truncated",
              "security_warnings", "outcome"}

    def test_the_answer_has_what_its_callers_read(self):
        answer = self.execute("import sys; sys.stderr.write('e'); a = 'x' * (40 << 20)")[1]
        self.assertEqual(set(answer), self.FIELDS)
        self.assertEqual((answer["stderr"], answer["truncated"]), ("e", False))
        self.assertIsInstance(answer["execution_time_ms"], int)
        self.assertGreater(answer["memory_used_mb"], 40)

    def test_time_of_a_tier_and_what_is_asked_for_below_it(self):
        answer = self.execute("sleep 60", "shell", timeout_seconds=1)[1]
        self.assertEqual((answer["outcome"], answer["exit_code"]), ("wall_timeout", 124))
        self.assertLess(answer["execution_time_ms"], 3000)
        answer = self.execute("echo first; sleep 60", "shell", timeout_seconds=600)[1]
        self.assertEqual((answer["outcome"], answer["stdout"]), ("wall_timeout", "first\n"))
        self.assertLess(answer["execution_time_ms"], 8000)  # 5 s for whoever pays nothing

    def open_files_of(self, tier):
        daemon = self.service.children()["daemon"]
        limits = pathlib.Path(f"/proc/{daemon}/limits").read_text(encoding="utf8")
        return min(tier, int(re.search(r"Max open files +\d+ +(\d+)", limits)[1]))

    def test_processes_files_and_memory_of_each_tier(self):
        # Forks until it is refused; `ulimit` tells what the kernel holds it to.
        code = ("import os, resource, time\nn = 0\n"
                "try:\n  while n < 600:\n    if os.fork() == 0: time.sleep(60)\n    n += 1\n"
                "except OSError: pass\n"
                "print(n + 1, resource.getrlimit(resource.RLIMIT_NOFILE)[1])")
        # The kernel fills it in one go: page by page takes longer than the tier's time where the
        # machine is emulated.
        hungry = ("import mmap\n"
                  "flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | mmap.MAP_POPULATE\n"
                  "print(len(mmap.mmap(-1, 700 << 20, flags=flags)) >> 20)")
        for tier, pids, files in (("free", 50, 1024), ("standard", 100, 4096),
                                  ("nobody knows", 100, 4096), ("pro", 200, 16384),
                                  ("enterprise", 500, 65536)):
            status, answer = self.execute(code, tier=tier)
            self.assertEqual(status, 200, answer)
            self.assertEqual(answer["stdout"], f"{pids} {self.open_files_of(files)}\n", tier)
            answer = self.execute(hungry, tier=tier)[1]
            expected = ("", 137) if tier == "free" else ("700\n", 0)
            self.assertEqual((answer["stdout"], answer["exit_code"]), expected, tier)

    def test_output_and_processor_of_the_free_tier(self):
        answer = self.execute("print('x' * 70000)")[1]
        self.assertEqual((answer["truncated"], len(answer["stdout"])), (True, 65536))
        self.assertFalse(self.execute("print('x' * 70000)", tier="pro")[1]["truncated"])
        spin = ("import time\nend = time.monotonic() + 2\nwhile time.monotonic() < end: pass\n"
                "print(time.process_time())")
        self.assertLess(float(self.execute(spin)[1]["stdout"]), 1.4)  # half of one, and a bit

    def test_errors_are_a_text(self):
        for body, error in (
                ({"language": "cobol", "code": "x"}, "Invalid language. Supported: python"),
                ({"language": "python"}, "Missing required fields: code, language"),
                ({"code": "x"}, "Missing required fields: code, language"),
                ({"language": "python", "code": "x", "timeout_seconds": 0}, "timeout_seconds"),
                ([], "object"), ("nonsense", "JSON")):
            status, answer = self.service.ask_json("POST", "/execute", body)
            self.assertEqual((status, list(answer)), (400, ["error"]))
            self.assertIn(error, answer["error"])


if __name__ == "__main__":
    sys.exit(case.run_tests(__name__))
