#!/usr/bin/env python3
"""What an operator can say to `airlock serve`, and that the service does it.

    tests/blackbox/config_test.py
"""

import contextlib
import gzip
import http.client
import json
import os
import pathlib
import re
import socket
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
import unittest

import case
from case import SLOW
from service import Service
from support import airlock

KEY = "a-key-of-thirty-two-characters-00"
PAGE = "https://app.example"
# What a shell exports of this is not for these tests.
CLEAN = {name: value for name, value in os.environ.items()
         if not name.startswith(("AIRLOCK_", "AMON_")) or name.startswith("AIRLOCK_TEST")}


def serve(*words, env=None):
    """`airlock serve` that ends by itself."""
    return subprocess.run([str(airlock.binary()), "serve", *map(str, words)], capture_output=True,
                          text=True, env={**CLEAN, **(env or {})}, timeout=30 * SLOW, check=False)


class Said(case.Case):
    def refused(self, *words, env=None):
        done = serve(*words, env=env)
        self.assertEqual((done.returncode, done.stdout), (airlock.USAGE_ERROR, ""), done)
        return done.stderr

    def printed(self, *words, env=None):
        done = serve("--print-config", *words, env=env)
        self.assertEqual((done.returncode, done.stderr), (0, ""), done)
        return done.stdout

    def test_every_value_is_shown_with_its_origin(self):
        file = self.write("a.yaml", "# ours\nwaiting: 7\nmax_pids: 1\n")
        text = self.printed("--max-pids", "3", "--config", file,
                            env={"AIRLOCK_SLOTS": "2", "AMON_SANDBOX_MEMORY": "64m",
                                 "AIRLOCK_API_KEY": KEY})
        for line in ("max_pids: 3 # --max-pids", f"waiting: 7 # {file}:2:10",
                     "slots: 2 # AIRLOCK_SLOTS", "amon_memory: 64m # AMON_SANDBOX_MEMORY",
                     "# api_key: (set) # AIRLOCK_API_KEY", "# max_wall: 10m # default"):
            self.assertIn(line, re.sub(" +", " ", text))
        self.assertNotIn(KEY, text)

    def test_what_is_shown_is_a_file_that_says_the_same(self):
        words = ("--max-wall", "7s", "--cors-origin", PAGE, "--listen", "http://[::1]:0")
        first = self.printed(*words)
        second = self.printed("--config", self.write("again.yaml", first))
        values = [[line.rsplit("#", 1)[0].rstrip() for line in text.splitlines()
                   if not line.startswith("# config:")] for text in (first, second)]
        self.assertEqual(*values)
        self.assertIn('listen: ["http://[::1]:0"]', values[0])

    def test_mistakes_are_told_with_place_and_nearest_name(self):
        file = self.write("a.yaml", "slots: 2\nmax_wal: 1s\n")
        self.assertIn(f'{file}:2:1: unknown key "max_wal"', self.refused("--config", file))
        self.assertIn('did you mean "max_wall"?', self.refused("--config", file))
        file = self.write("a.yaml", "max_wall: soon\n")
        self.assertIn(f"{file}:1:11: max_wall:", self.refused("--config", file))
        self.assertIn("secret", self.refused("--config", self.write("b.yaml", f"api_key: {KEY}")))
        self.assertIn('did you mean "--max-wall"?', self.refused("--max-wal", "1s"))
        self.assertIn("AIRLOCK_SLOTS", self.refused(env={"AIRLOCK_SLOTS": "many"}))
        self.assertIn("--config", self.refused("--config", "/nowhere.yaml"))

    def test_what_cannot_be_obeyed_is_refused_with_the_reason(self):
        self.assertIn("not in an image", self.refused(env={"AMON_SANDBOX_IMAGE": "own:1"}))
        self.assertIn("no swap", self.refused(env={"AMON_SANDBOX_MEMORY_SWAP": "-1"}))
        self.assertIn("ALLOWED_DOMAINS", self.refused("--compat", "swissbrain",
                                                      env={"ENABLE_NETWORK": "true"}))
        self.assertIn("AIRLOCK_EGRESS_ALLOW", self.refused(env={"AIRLOCK_EGRESS_ALLOW": "a/b"}))
        self.assertIn("--dns-servers", self.refused("--dns-servers", "a.test"))

    def test_hosts_of_jobs_are_checked_at_the_start(self):
        for key, entry in (("allowed_prep_domains", "https://a.example"),
                           ("allowed_prep_domains", "10.0.0.7:8443"),
                           ("allowed_build_domains", "pipy"),
                           ("blocked_domains", "a.example:443"),
                           ("allowed_private_destinations", "10.0.0.7")):
            file = self.write("a.yaml", "security:\n  network_policy:\n"
                                        f'    {key}: ["{entry}"]\n')
            said = self.refused("--config", file)
            self.assertIn(f"{file}:3:", said)
            self.assertIn(f"security.network_policy.{key}:", said)
            self.assertIn(f'"{entry}"', said)
        # What is opened as an address may be named among the hosts.
        opened = '["10.0.0.7:8443"]'
        self.printed("--config", self.write("b.yaml", "security:\n  network_policy:\n"
                                            f"    allowed_prep_domains: {opened}\n"
                                            f"    allowed_private_destinations: {opened}\n"))

    def test_the_examples_of_the_documentation_are_taken(self):
        page = (airlock.ROOT / "docs/operations.md").read_text()
        sections = r"(?:execution|source|security|storage|scheduler|monitoring):\n"
        examples = [textwrap.dedent(text) for text in
                    re.findall(rf"^((?:    {sections}(?:     .*\n)+)+)", page, re.MULTILINE)]
        self.assertGreaterEqual(len(examples), 2)
        for example in examples:
            if "ssh_key_file" in example:
                continue  # this host has none to read
            self.printed("--config", self.write("example.yaml", example))

    def test_what_is_said_of_s3_is_checked_at_the_start(self):
        for key, value in (("s3_endpoint", "minio:9000"), ("s3_style", "pathlike"),
                           ("s3_region", "us east")):
            file = self.write("a.yaml", f'storage:\n  {key}: "{value}"\n')
            said = self.refused("--config", file)
            self.assertIn(f"{file}:2:", said)
            self.assertIn(f"storage.{key}:", said)
            self.assertIn(f'"{value}"', said)

    def test_secrets_are_taken_from_a_file_that_others_cannot_read(self):
        file = self.write("a.yaml", "storage:\n  s3_access_key: AK\n  s3_secret_key: hidden\n")
        file.chmod(0o644)
        said = self.refused("--config", file)
        for part in (f"{file}:2:3: s3_access_key is a secret", "chmod 600",
                     "AIRLOCK_STORAGE_S3_ACCESS_KEY"):
            self.assertIn(part, said)
        self.assertNotIn("hidden", said)
        file.chmod(0o600)
        text = self.printed("--config", file)
        self.assertIn(f"# s3_secret_key: (set) # {file}:3:18", re.sub(" +", " ", text))
        self.assertNotIn("hidden", text)

    def test_help_has_every_flag(self):
        text = serve("--help").stdout
        for flag in re.findall(r"^# ([a-z_]+): ", self.printed(), re.MULTILINE):
            if not flag.startswith(("amon_", "swissbrain_")) and flag != "api_key":
                self.assertIn(f"--{flag.replace('_', '-')} ", text)


class Obeyed(unittest.TestCase):
    def test_maxima_and_defaults_of_runs(self):
        seconds = int(2 * SLOW)
        longest = {"wall_ms": seconds * 1000}
        with Service("--max-wall", f"{seconds}s", "--max-memory", "128m", "--default-wall",
                     "400ms", "--default-pids", "5") as service:
            status, answer = service.run(argv=["true"], limits={"wall_ms": seconds * 1000 + 1})
            self.assertEqual((status, answer["error"]["field"]), (400, "limits.wall_ms"))
            status, answer = service.run(argv=["true"], limits={"memory_bytes": 129 << 20})
            self.assertEqual(status, 400, answer)
            self.assertEqual(service.run(argv=["sleep", "1"])[1]["outcome"], "wall_timeout")
            self.assertEqual(service.run(argv=["sleep", "1"], limits=longest)[1]["outcome"],
                             "exited")
            forks = "import os, time\nfor _ in range(20): os.fork() or time.sleep(0.2)"
            self.assertEqual(service.run(language="python", code=forks, limits=longest)[1]
                             ["outcome"], "process_limit")
            # On the drop-in routes, too.
            status, answer = service.ask_json("POST", "/run", {
                "language": "python", "code": "", "timeout_s": seconds + 1})
            self.assertEqual((status, answer["detail"]), (400, f"timeout_s 必須介於 1~{seconds}"))
            hungry = "a = [bytearray(1 << 20) for _ in range(200)]"
            for path in ("/run", "/execute"):
                answer = service.ask_json("POST", path, {
                    "language": "python", "code": hungry, "tier": "pro",
                    "timeout_s": seconds})[1]
                self.assertEqual(answer["exit_code"], 137, answer)

    def test_the_variables_of_amons_runner(self):
        env = {"AMON_SANDBOX_MAX_CODE_BYTES": "60", "AMON_SANDBOX_MAX_FILE_COUNT": "1",
               "AMON_SANDBOX_MAX_SINGLE_FILE_BYTES": "3", "AMON_SANDBOX_PIDS_LIMIT": "4",
               "AMON_SANDBOX_MAX_CONCURRENCY": "3", "AMON_SANDBOX_JOBS_DIR": ".sandbox_jobs"}
        with Service(env=env) as service:
            def run(code, *files):
                return service.ask_json("POST", "/run", {
                    "language": "bash", "code": code,
                    "input_files": [{"path": p, "content_b64": c} for p, c in files]})
            self.assertEqual(run("true " + "x" * 56)[1], {"detail": "code 大小超過上限"})
            self.assertEqual(run("true", ("a", "YWJj"))[0], 200)
            self.assertEqual(run("true", ("a", "YWJjZA=="))[0], 400)
            self.assertEqual(run("true", ("a", ""), ("b", ""))[0], 400)
            self.assertEqual(run("echo abcd > /output/x")[0], 400)
            self.assertNotEqual(run("sleep 1 & sleep 1 & sleep 1 & sleep 1 & wait")[1]["stderr"],
                                "")
            self.assertEqual(service.ask_json("GET", "/health")[1]["concurrency"]["max"], 3)
            named = service.wait_for("serve.no_effect")["variables"]
            names = [line["name"] for line in named if line["name"].startswith("AMON_")]
            self.assertEqual(names, ["AMON_SANDBOX_JOBS_DIR"])

    def test_the_variables_of_the_executor(self):
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        env = {"AIRLOCK_COMPAT": "swissbrain", "HOST": "127.0.0.1", "PORT": str(port),
               "MAX_MEMORY": "64Mi", "MAX_EXECUTION_TIME": str(int(SLOW)),
               "ALLOWED_DOMAINS": "github.com", "ENABLE_NETWORK": "false",
               "SUPABASE_SERVICE_KEY": "not-for-the-log",
               "AIRLOCK_SLOTZ": "1", "AIRLOCK_LISTEN": ""}
        with Service(env=env) as service:
            self.assertEqual(service.port, port)
            answer = service.ask_json("POST", "/execute", {
                "language": "python", "tier": "pro",
                "code": "a = [bytearray(1 << 20) for _ in range(100)]"})[1]
            self.assertEqual(answer["outcome"], "out_of_memory", answer)
            answer = service.ask_json("POST", "/execute", {
                "language": "shell", "tier": "pro", "code": f"sleep {5 * SLOW}"})[1]
            self.assertEqual(answer["outcome"], "wall_timeout", answer)
            names = {line["name"] for line in service.wait_for("serve.no_effect")["variables"]}
            self.assertEqual(names & {*env, "SUPABASE_URL"},
                             {"ALLOWED_DOMAINS", "SUPABASE_SERVICE_KEY", "AIRLOCK_SLOTZ"})
            self.assertNotIn("not-for-the-log", json.dumps(service.log))

    def test_a_daemon_that_is_started_again_goes_by_what_the_first_one_read(self):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "airlock.yaml"
            path.write_text("slots: 3\n", encoding="utf8")
            with Service("--config", str(path)) as service:
                path.unlink()
                os.kill(service.children()["daemon"], 9)
                service.wait_for("serve.ready", 2)
                self.assertEqual(service.ask_json("GET", "/health")[1]["concurrency"]["max"], 3)

    def test_the_log_begins_at_its_level(self):
        process = subprocess.Popen(
            [str(airlock.binary()), "serve", "--listen", "http://127.0.0.1:0", "--log-level",
             "error"], stderr=subprocess.PIPE, env=CLEAN)
        time.sleep(1.5 * SLOW)
        process.terminate()
        self.assertEqual(process.communicate(timeout=45 * SLOW)[1], b"")
        self.assertEqual(process.returncode, 0)


class Secrets(unittest.TestCase):
    def everyones_environment(self, service):
        """Of the supervisor and all that it started, and what they were started with."""
        parents = {}
        for pid in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError, IndexError):
                stat = pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="utf8")
                parents[int(pid)] = int(stat.rsplit(")", 1)[1].split()[1])
        ours = {service.process.pid}
        while more := {pid for pid, parent in parents.items() if parent in ours} - ours:
            ours |= more
        self.assertGreaterEqual(len(ours), 4)  # supervisor, launcher, daemon, a keeper
        found = b""
        for pid in ours:
            for name in ("environ", "cmdline"):
                with contextlib.suppress(OSError):
                    found += pathlib.Path(f"/proc/{pid}/{name}").read_bytes()
        self.assertIn(b"PATH=", found)
        return found

    def check(self, *words, env=None):
        with Service(*words, env=env) as service:
            self.assertEqual(service.ask("POST", "/v1/run", {"argv": ["true"]})[0], 401)
            self.assertEqual(service.ask("POST", "/v1/run", {"argv": ["true"]},
                                         {"X-API-Key": KEY})[0], 200)
            self.assertNotIn(KEY.encode(), self.everyones_environment(service))
            os.kill(service.children()["daemon"], 9)
            service.wait_for("serve.ready", 2)
            self.assertEqual(service.ask("POST", "/v1/run", {"argv": ["true"]},
                                         {"X-API-Key": KEY})[0], 200)
            self.assertNotIn(KEY, json.dumps(service.log) + str(service.other_lines))

    @unittest.skipUnless(os.geteuid() == 0, "needs root to see every environment")
    def test_a_key_is_in_nobodys_environment(self):
        self.check(env={"AIRLOCK_API_KEY": KEY})
        self.check(env={"AMON_SANDBOX_API_KEY": KEY})

    @unittest.skipUnless(os.geteuid() == 0, "needs root to see every environment")
    def test_nor_one_from_a_file(self):
        with tempfile.NamedTemporaryFile("w") as file:
            file.write(KEY + "\n")
            file.flush()
            self.check("--api-key-file", file.name)


class Pages(unittest.TestCase):
    ASK = {"Origin": PAGE, "Access-Control-Request-Method": "POST",
           "Access-Control-Request-Headers": "content-type"}

    def test_by_default_no_page_is_answered(self):
        with Service() as service:
            status, headers, _ = service.ask("OPTIONS", "/v1/run", headers=self.ASK)
            self.assertEqual(status, 403)
            self.assertIsNone(headers["Access-Control-Allow-Origin"])

    def test_pages_of_named_origins_may_use_a_keyless_service(self):
        with Service("--cors-origin", PAGE, "--cors-origin", "http://localhost:3000") as service:
            status, headers, body = service.ask("OPTIONS", "/v1/run", headers=self.ASK)
            self.assertEqual((status, body), (204, b""))
            self.assertEqual(headers["Access-Control-Allow-Origin"], PAGE)
            self.assertEqual(headers["Access-Control-Allow-Methods"], "POST")
            self.assertIn("Content-Type", headers["Access-Control-Allow-Headers"])
            self.assertIsNone(headers["Content-Length"])
            for path in ("/v1/run", "/v1/run/stream"):
                status, headers, _ = service.ask("POST", path, {"argv": ["true"]},
                                                 {"Origin": PAGE})
                self.assertEqual((status, headers["Access-Control-Allow-Origin"]), (200, PAGE))
            status, headers, _ = service.ask("POST", "/v1/run", "{", {"Origin": PAGE})
            self.assertEqual((status, headers["Access-Control-Allow-Origin"]), (400, PAGE))
            # Everybody else is as foreign as before.
            for change in ({"Origin": "https://evil.example"}, {"Origin": "null"},
                           {"Host": "evil.example"}):
                for method, body in (("OPTIONS", None), ("POST", {"argv": ["true"]})):
                    status, headers, _ = service.ask(method, "/v1/run", body,
                                                     {**self.ASK, **change})
                    self.assertEqual(status, 403, (method, change))
                    if "Origin" in change:
                        self.assertIsNone(headers["Access-Control-Allow-Origin"])
            status, _, _ = service.ask("POST", "/v1/run", "argv=true",
                                       {"Origin": PAGE, "Content-Type": "text/plain"})
            self.assertEqual(status, 415)

    def test_a_browser_asks_without_the_key_and_the_page_sends_it(self):
        with Service("--cors-origin", PAGE, env={"AIRLOCK_API_KEY": KEY}) as service:
            self.assertEqual(service.ask("OPTIONS", "/v1/run", headers=self.ASK)[0], 204)
            self.assertEqual(service.ask("OPTIONS", "/nowhere", headers=self.ASK)[0], 404)
            self.assertEqual(service.ask("OPTIONS", "/v1/run")[0], 401)
            status, headers, _ = service.ask("POST", "/v1/run", {"argv": ["true"]},
                                             {"Origin": PAGE})
            self.assertEqual((status, headers["Access-Control-Allow-Origin"]), (401, PAGE))
            status, _, _ = service.ask("POST", "/v1/run", {"argv": ["true"]},
                                       {"Origin": PAGE, "X-API-Key": KEY})
            self.assertEqual(status, 200)


class Compressed(unittest.TestCase):
    def test_large_answers_for_who_takes_gzip(self):
        flood = {"argv": ["sh", "-c", "yes abcdefghij | head -c 300000"]}
        with Service() as service:
            plain = service.ask("POST", "/v1/run", flood)
            packed = service.ask("POST", "/v1/run", flood, {"Accept-Encoding": "br, gzip"})
            self.assertIsNone(plain[1]["Content-Encoding"])
            self.assertEqual(packed[1]["Content-Encoding"], "gzip")
            self.assertIn("Accept-Encoding", packed[1].get_all("Vary"))
            self.assertLess(len(packed[2]), len(plain[2]) // 20)
            self.assertEqual(json.loads(gzip.decompress(packed[2]))["stdout"],
                             json.loads(plain[2])["stdout"])
            small = service.ask("POST", "/v1/run", {"argv": ["true"]}, {"Accept-Encoding": "gzip"})
            self.assertIsNone(small[1]["Content-Encoding"])
            unwanted = service.ask("POST", "/v1/run", flood, {"Accept-Encoding": "gzip;q=0"})
            self.assertIsNone(unwanted[1]["Content-Encoding"])
            stream = service.ask("POST", "/v1/run/stream", flood, {"Accept-Encoding": "gzip"})
            self.assertIsNone(stream[1]["Content-Encoding"])
            self.assertIn(b"event: result", stream[2])

    def test_a_compressed_body_is_refused_by_its_name(self):
        with Service() as service:
            body = gzip.compress(b'{"argv":["true"]}')
            answer = service.ask_json("POST", "/v1/run", body, {"Content-Encoding": "gzip"})
            self.assertEqual((answer[0], answer[1]["error"]["field"]), (415, "Content-Encoding"))
            answer = service.ask_json("POST", "/run", body, {"Content-Encoding": "gzip"})
            self.assertEqual((answer[0], list(answer[1])), (415, ["detail"]))
            self.assertEqual(service.ask("POST", "/v1/run", {"argv": ["true"]},
                                         {"Content-Encoding": "identity"})[0], 200)


class Bounded(unittest.TestCase):
    HEAD = ("POST /v1/run HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            "Content-Length: %d\r\n\r\n")

    def test_bodies_of_all_clients_together(self):
        with Service("--memory-budget", "4m", "--max-body", "1m") as service, \
                contextlib.ExitStack() as stack:
            large = json.dumps({"argv": ["true"], "stdin": "x" * 900_000})
            self.assertEqual(service.ask("POST", "/v1/run", large)[0], 200)
            holders = []
            for _ in range(2):  # each holds almost a mebibyte, of two
                holder = stack.enter_context(service.raw())
                holder.sendall((self.HEAD % len(large) + large[:-1]).encode())
                holders.append(holder)
            deadline = time.monotonic() + 10 * SLOW
            answer = service.ask("POST", "/v1/run", large)
            while answer[0] == 200 and time.monotonic() < deadline:
                answer = service.ask("POST", "/v1/run", large)
            self.assertEqual((answer[0], answer[1]["Retry-After"]), (503, "1"))
            self.assertEqual(json.loads(answer[2])["error"]["code"], "busy")
            # What is small goes on.
            self.assertEqual(service.ask("GET", "/health")[0], 200)
            self.assertEqual(service.run(argv=["true"])[0], 200)
            holders[0].sendall(large[-1:].encode())
            self.assertTrue(holders[0].recv(100).startswith(b"HTTP/1.1 200"))
            self.assertEqual(service.ask("POST", "/v1/run", large)[0], 200)

    def test_chunks_that_nobody_announced_count_as_well(self):
        with Service("--memory-budget", "2m", "--max-body", "1m") as service:
            body = b'{"argv":["true"],"stdin":"' + b"x" * 700_000
            chunked = (b"POST /v1/run HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n"
                       b"Content-Type: application/json\r\n\r\n%x\r\n" % len(body)) + body
            with service.raw() as first, service.raw() as second:
                first.sendall(chunked)
                time.sleep(0.5 * SLOW)
                with contextlib.suppress(OSError):
                    second.sendall(chunked)
                self.assertTrue(second.recv(100).startswith(b"HTTP/1.1 503"))

    def test_an_answer_that_nobody_reads_gives_way_to_others(self):
        flood = json.dumps({"argv": ["sh", "-c", "head -c 6000000 /dev/zero | tr '\\0' x"]})
        with Service("--memory-budget", "16m", "--max-body", "1m", "--max-output", "8m",
                     "--slots", "4") as service, contextlib.ExitStack() as stack:
            idlers = []
            for _ in range(2):
                idler = stack.enter_context(socket.socket())
                idler.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                idler.settimeout(60 * SLOW)
                idler.connect(("127.0.0.1", service.port))
                idler.sendall((self.HEAD % len(flood) + flood).encode())
                idlers.append(idler)
                self.assertTrue(idler.recv(10).startswith(b"HTTP/1.1 "))
            service.wait_for("http.cut_off")
            status, answer = service.ask_json("POST", "/v1/run", flood)
            self.assertEqual((status, len(answer["stdout"])), (200, 6_000_000))
            received = 0
            with contextlib.suppress(ConnectionResetError):
                while piece := idlers[0].recv(1 << 20):
                    received += len(piece)
            self.assertLess(received, 6_000_000)

    def test_results_that_find_no_room_are_refused_and_nobody_elses_is_wrong(self):
        request = {"argv": ["sh", "-c", "head -c 900000 /dev/zero | tr '\\0' x"]}
        with Service("--memory-budget", "2m", "--max-body", "1m", "--slots", "8") as service:
            answers, deadline = [], time.monotonic() + 30 * SLOW

            def ask():
                with contextlib.suppress(OSError, http.client.HTTPException):  # cut off
                    answers.append(service.ask("POST", "/v1/run", request))

            while time.monotonic() < deadline and all(answer[0] == 200 for answer in answers):
                crowd = [threading.Thread(target=ask) for _ in range(16)]
                for client in crowd:
                    client.start()
                for client in crowd:
                    client.join()
            refused = [answer for answer in answers if answer[0] != 200]
            self.assertGreater(len(refused), 0)
            for status, headers, body in refused:
                self.assertEqual((status, headers["Retry-After"]), (503, "1"))
                self.assertIn("memory", json.loads(body)["error"]["message"])
            for status, _, body in answers:
                if status == 200:
                    self.assertEqual(json.loads(body)["stdout"], "x" * 900_000)
            self.assertEqual(service.ask("POST", "/v1/run", request)[0], 200)

    def test_no_more_connections_than_said(self):
        with Service("--max-connections", "2", "--idle-timeout", "1s") as service, \
                service.raw() as one, service.raw() as two:
            for connection in (one, two):
                connection.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
                self.assertIn(b"200 OK", connection.recv(4096))
            with service.raw() as third:
                third.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
                self.assertIn(b"200 OK", third.recv(4096))
                # Who has waited longest without a request made room for it.
                self.assertEqual(one.recv(4096), b"")


if __name__ == "__main__":
    sys.exit(case.run_tests(__name__))
