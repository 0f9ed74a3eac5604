#!/usr/bin/env python3
"""`airlock serve` from outside: routes, results, errors, access, HTTP as people expect it.

    tests/blackbox/serve_test.py

AIRLOCK names the binary to test.
"""

import base64
import contextlib
import http.client
import json
import os
import re
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import urllib.request

import case
from case import SLOW
from service import Service, ServiceCase
from support import airlock, leftovers

KEY = "a-key-of-thirty-two-characters-00"


class Runs(ServiceCase):
    def test_a_program_in_a_language(self):
        result = self.run_ok(language="python", code="print(6*7)")
        self.assertEqual((result["outcome"], result["exit_code"], result["stdout"]),
                         ("exited", 0, "42\n"))
        self.assertEqual(result["isolation"]["backend"], "direct")

    def test_a_compiled_program_and_what_the_compiler_said(self):
        result = self.run_ok(language="c", code="#include <stdio.h>\nint main(){puts(\"hi\");}")
        self.assertEqual(result["stdout"], "hi\n")
        self.assertEqual(result["compile"]["outcome"], "exited")
        broken = self.run_ok(language="c", code="int main( {")
        self.assertIn("compilation failed", broken["detail"])

    def test_a_command_with_files_arguments_stdin_and_environment(self):
        result = self.run_ok(argv=["sh", "-c", "cat a.txt - && echo $NAME && printf x > out.bin"],
                             files=[{"path": "a.txt", "content": "from a file\n"}],
                             stdin="from stdin\n", env={"NAME": "value"}, outputs=["out.*"])
        self.assertEqual(result["stdout"], "from a file\nfrom stdin\nvalue\n")
        self.assertEqual([(f["path"], f["content"]) for f in result["files"]], [("out.bin", "x")])

    def test_bytes_go_in_and_come_out(self):
        content = bytes(range(256))
        result = self.run_ok(argv=["cat", "b"],
                             files=[{"path": "b", "content": base64.b64encode(content).decode(),
                                     "encoding": "base64"}])
        self.assertEqual(base64.b64decode(result["stdout"]), content)

    def test_every_limit_is_an_outcome(self):
        for outcome, code, limits in (
                ("wall_timeout", "import time; time.sleep(60)", {"wall_ms": 300}),
                ("cpu_timeout", "while True: pass", {"cpu_ms": 300}),
                ("out_of_memory", "a=[bytearray(1<<20) for _ in range(4000)]",
                 {"memory_bytes": 64 << 20}),
                ("output_limit", "print('x'*100000)", {"output_bytes": 10240})):
            result = self.run_ok(language="python", code=code, limits=limits)
            if outcome == "out_of_memory" and "cgroup" in result["isolation"]["missing"]:
                outcome = "exited"  # without a cgroup the program is told, and says so
            self.assertEqual(result["outcome"], outcome, result)

    def test_a_run_has_its_own_limits_whatever_the_one_before_had(self):
        for memory in (64 << 20, 1 << 30, 96 << 20, 512 << 20) * 4:
            result = self.run_ok(argv=["true"], limits={"memory_bytes": memory})
            self.assertEqual(result["outcome"], "exited", result)

    def test_nothing_of_one_run_is_seen_by_the_next(self):
        self.run_ok(argv=["sh", "-c", "echo secret > /tmp/s; echo secret > /workspace/s"])
        for _ in range(8):
            result = self.run_ok(argv=["sh", "-c", "ls -A /tmp /workspace /dev/shm; echo $$"])
            self.assertNotIn("s\n", result["stdout"].replace("/dev/shm:", "").replace(":\n", ""))

    def test_wrong_requests_are_told_what_would_be_right(self):
        ask = lambda body: self.service.ask_json("POST", "/v1/run", body)  # noqa: E731
        self.assert_error(ask({"language": "pyton", "code": "x"}), 400, "invalid_argument",
                          message="python")
        self.assert_error(ask({"langage": "python", "code": "x"}), 400, "invalid_argument",
                          message="langage")
        self.assert_error(ask({}), 400, "invalid_argument")
        self.assert_error(ask("{"), 400, "invalid_json")
        self.assert_error(ask({"argv": ["true"], "limits": {"wall_ms": -1}}), 400,
                          "invalid_argument", field="limits.wall_ms")
        self.assert_error(ask({"argv": ["true"], "files": [{"path": "../x", "content": ""}]}), 400,
                          "invalid_argument", field="files[0].path")

    def test_output_comes_as_it_is_written(self):
        connection = self.service.connect()
        code = "import time\nprint('one', flush=True)\ntime.sleep(1)\nprint('two')"
        connection.request("POST", "/v1/run/stream",
                           json.dumps({"language": "python", "code": code}),
                           {"Content-Type": "application/json"})
        answer = connection.getresponse()
        self.assertEqual(answer.headers["Content-Type"], "text/event-stream")
        events = []
        while True:
            lines = []
            while (line := answer.readline().decode()) not in ("\n", ""):
                lines.append(line.rstrip("\n"))
            if not lines:
                break
            events.append((time.monotonic(), lines[0], json.loads(lines[1][len("data: "):])))
        connection.close()
        texts = [e[2]["text"] for e in events if e[1] == "event: output"]
        self.assertEqual("".join(texts), "one\ntwo\n")
        self.assertEqual(events[-1][1], "event: result")
        self.assertEqual(events[-1][2]["outcome"], "exited")
        self.assertGreater(events[-1][0] - events[0][0], 0.5)

    def start_sleeper(self):
        connection = self.service.raw()
        body = json.dumps({"argv": ["sleep", "1000"], "limits": {"wall_ms": 60000}})
        head = ("POST /v1/run HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                f"Content-Length: {len(body)}\r\n\r\n")
        connection.sendall((head + body).encode())
        self.wait_for_running(1, connection)
        return connection

    def test_a_client_that_hangs_up_has_its_run_killed(self):
        self.start_sleeper().close()
        self.wait_for_running(0)

    def test_one_that_sends_more_and_hangs_up_is_noticed_too(self):
        connection = self.start_sleeper()
        connection.sendall(b"GET /health HTT")
        time.sleep(0.2)
        connection.close()
        self.wait_for_running(0)

    def wait_for_running(self, count, connection=None):
        deadline = time.monotonic() + 10 * SLOW
        while time.monotonic() < deadline:
            _, health = self.service.ask_json("GET", "/health")
            if health["concurrency"]["inflight"] == count:
                return
            time.sleep(0.05)
        answer = b""
        if connection and select.select([connection], [], [], 0)[0]:
            answer = connection.recv(1 << 16)
        self.fail(f"never {count} running: {health} {answer}")


class Http(ServiceCase):
    def exchange(self, data, end=True):
        """Everything that comes back for raw bytes."""
        with self.service.raw(timeout=30 * SLOW) as connection:
            connection.sendall(data)
            if end:
                connection.shutdown(socket.SHUT_WR)
            received = b""
            while piece := connection.recv(65536):
                received += piece
            return received

    def test_health_and_readiness(self):
        self.assertEqual(self.service.ask_json("GET", "/health")[1]["status"], "ok")
        self.assertEqual(self.service.ask_json("GET", "/ready"), (200, {"status": "ready"}))

    def test_languages_with_what_this_host_has(self):
        status, answer = self.service.ask_json("GET", "/v1/languages")
        self.assertEqual(status, 200)
        self.assertIn("python", json.dumps(answer))

    def test_unknown_paths_and_methods(self):
        self.assert_error(self.service.ask_json("GET", "/nowhere"), 404, "not_found")
        status, headers, _ = self.service.ask("DELETE", "/v1/run")
        self.assertEqual((status, headers["Allow"]), (405, "POST"))

    def test_head_has_the_head_only(self):
        answer = self.exchange(b"HEAD /health HTTP/1.1\r\nHost: localhost\r\n"
                               b"Connection: close\r\n\r\n")
        head, _, body = answer.partition(b"\r\n\r\n")
        self.assertTrue(head.startswith(b"HTTP/1.1 200 OK"))
        self.assertNotIn(b"Content-Length: 0", head)
        self.assertEqual(body, b"")

    def test_requests_that_come_early_are_answered_in_order(self):
        one = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"
        other = b"GET /nowhere HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        answer = self.exchange(one + one + one + other, end=False)
        statuses = re.findall(rb"HTTP/1.1 (\d+)", answer)
        self.assertEqual(statuses, [b"200", b"200", b"200", b"404"])

    def test_chunks_and_expect(self):
        body = b'{"argv":["true"]}'
        head = (b"POST /v1/run HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                b"Transfer-Encoding: chunked\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n")
        with self.service.raw() as connection:
            connection.sendall(head)
            self.assertEqual(connection.recv(100), b"HTTP/1.1 100 Continue\r\n\r\n")
            for byte in body:
                connection.sendall(b"1\r\n%c\r\n" % byte)
            connection.sendall(b"0\r\n\r\n")
            answer = b""
            while piece := connection.recv(65536):
                answer += piece
        self.assertIn(b"200 OK", answer)
        self.assertIn(b'"exited"', answer)

    def test_what_is_malformed_is_refused_and_others_go_on(self):
        for data, status in (
                (b"\x16\x03\x01\x02\x00\x01\x00", b"400"),
                (b"GET / HTTP/1.1\r\n\r\n", b"400"),
                (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", b"400"),
                (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 20000 + b"\r\n\r\n", b"431"),
                (b"POST /v1/run HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                 b"Content-Length: 99999999999\r\n\r\n", b"413"),
                (b"POST /v1/run HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                 b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", b"400")):
            answer = self.exchange(data)
            self.assertTrue(answer.startswith(b"HTTP/1.1 " + status), (data[:60], answer[:80]))
        self.assertEqual(self.service.ask_json("GET", "/health")[0], 200)

    def test_requests_as_a_web_page_would_send_them_are_refused(self):
        body = json.dumps({"argv": ["true"]})
        for headers, status, code in (
                ({"Content-Type": "text/plain"}, 415, "content_type"),
                ({"Content-Type": "application/x-www-form-urlencoded"}, 415, "content_type"),
                ({"Origin": "https://evil.example"}, 403, "origin_not_allowed"),
                ({"Origin": "null"}, 403, "origin_not_allowed"),
                ({"Host": "evil.example"}, 403, "host_not_allowed"),
                ({"Host": "localhost.evil.example:80"}, 403, "host_not_allowed")):
            answer = self.service.ask_json("POST", "/v1/run", body, headers)
            self.assert_error(answer, status, code)
        status, _ = self.service.ask_json("POST", "/v1/run", body, {
            "Origin": f"http://127.0.0.1:{self.service.port}",
            "Content-Type": "application/json; charset=utf-8"})
        self.assertEqual(status, 200)

    def test_a_slow_client_is_cut_off_and_holds_nobody_up(self):
        with self.service.raw(timeout=60 * SLOW) as slow:
            slow.sendall(b"GET /health HTTP/1.1\r\nHost: lo")
            self.assertEqual(self.service.ask_json("GET", "/health")[0], 200)
            started = time.monotonic()
            self.assertTrue(slow.recv(100).startswith(b"HTTP/1.1 408 "))
            self.assertLess(time.monotonic() - started, 20 * SLOW)


class Key(ServiceCase):
    @classmethod
    def setUpClass(cls):
        os.environ["AIRLOCK_API_KEY"] = KEY
        try:
            super().setUpClass()
        finally:
            del os.environ["AIRLOCK_API_KEY"]

    def test_a_key_guards_every_route_but_health(self):
        self.assertEqual(self.service.ask("GET", "/health")[0], 200)
        self.assertEqual(self.service.ask("GET", "/ready")[0], 200)
        for method, path in (("POST", "/v1/run"), ("POST", "/run"), ("POST", "/execute"),
                             ("GET", "/v1/languages"), ("GET", "/nowhere")):
            body = "{}" if method == "POST" else None
            self.assertEqual(self.service.ask(method, path, body)[0], 401, path)
        for headers in ({"Authorization": f"Bearer {KEY}"}, {"X-API-Key": KEY},
                        {"Authorization": f"bearer {KEY}", "Host": "anything.example"}):
            answer = self.service.ask_json("POST", "/v1/run", {"argv": ["true"]}, headers)
            self.assertEqual(answer[0], 200, answer)
        self.assertEqual(self.service.ask_json("POST", "/run", "{}"),
                         (401, {"detail": "unauthorized"}))
        wrong = {"Authorization": f"Bearer {KEY}x"}
        self.assertEqual(self.service.ask("POST", "/v1/run", "{}", wrong)[0], 401)

    def test_no_process_of_a_guest_sees_the_key(self):
        result = self.service.ask_json(
            "POST", "/v1/run", {"argv": ["sh", "-c", "env; cat /proc/*/environ"]},
            {"X-API-Key": KEY})[1]
        self.assertNotIn(KEY, json.dumps(result))


class Life(unittest.TestCase):
    def test_it_drains_when_it_is_told_to_end(self):
        with Service() as service:
            connection = service.connect()
            connection.request("POST", "/v1/run", json.dumps({"argv": ["sleep", "1"]}),
                               {"Content-Type": "application/json"})
            time.sleep(0.3)
            service.process.send_signal(signal.SIGTERM)
            answer = connection.getresponse()
            self.assertEqual(json.loads(answer.read())["outcome"], "exited")
            self.assertEqual(service.process.wait(30 * SLOW), 0)

    def test_a_stream_that_runs_is_finished_and_then_nothing_is_waited_for(self):
        with Service() as service:
            connection = service.connect()
            connection.request("POST", "/v1/run/stream", json.dumps({"argv": ["sleep", "1"]}),
                               {"Content-Type": "application/json"})
            answer = connection.getresponse()
            started = time.monotonic()
            service.process.send_signal(signal.SIGTERM)
            self.assertIn(b"event: result", answer.read())
            self.assertEqual(service.process.wait(30 * SLOW), 0)
            self.assertLess(time.monotonic() - started, 10 * SLOW)

    def test_health_says_it_by_its_status(self):
        def health(*words):
            return subprocess.run([str(airlock.binary()), "health", *words], capture_output=True,
                                  timeout=30 * SLOW, check=False)

        with Service() as service:
            done = health("--ready", service.url)
            self.assertEqual((done.returncode, done.stdout), (0, b'{"status":"ready"}\n'))
            self.assertEqual(health(service.url).returncode, 0)
        done = health(service.url)
        self.assertEqual(done.returncode, 1)
        self.assertIn(b"refused", done.stderr)
        self.assertEqual(health("nonsense").returncode, 2)

    def test_a_full_service_says_when_to_come_back(self):
        with Service("--slots", "1", "--waiting", "0") as service:
            sleeper = service.connect()
            sleeper.request("POST", "/v1/run", json.dumps({"argv": ["sleep", "2"]}),
                            {"Content-Type": "application/json"})
            time.sleep(0.5)
            status, headers, body = service.ask("POST", "/v1/run", {"argv": ["true"]})
            self.assertEqual((status, headers["Retry-After"]), (429, "1"))
            self.assertEqual(json.loads(body)["error"]["code"], "busy")
            sleeper.close()

    def test_without_parked_sandboxes_it_works_as_well(self):
        with Service("--parked", "0") as service:
            for _ in range(3):
                self.assertEqual(service.run(argv=["true"])[1]["outcome"], "exited")

    def test_clients_that_come_before_it_is_ready_do_not_keep_it_from_that(self):
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        ended = threading.Event()

        def crowd():
            while not ended.is_set():
                with contextlib.suppress(OSError, http.client.HTTPException):
                    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30 * SLOW)
                    connection.request("POST", "/v1/run", '{"argv":["sleep","0.1"]}',
                                       {"Content-Type": "application/json"})
                    connection.getresponse().read()

        clients = [threading.Thread(target=crowd) for _ in range(8)]
        for client in clients:
            client.start()
        try:
            # Too impatient for a check that waits for its turn once.
            with Service("--listen", f"http://127.0.0.1:{port}", "--slots", "1", "--waiting", "1",
                         "--wait", "150ms") as service:
                self.assertEqual(service.ask("GET", "/ready")[0], 200)
        finally:
            ended.set()
            for client in clients:
                client.join()

    def test_a_service_manager_opens_the_socket_and_is_told_when_it_is_ready(self):
        told = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        told.bind("\0airlock-test-" + str(os.getpid()))
        told.settimeout(30 * SLOW)
        listener = socket.create_server(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        # As systemd does it: descriptor 3, and the pid of the process that it is for.
        script = ('exec 3<&%d; export LISTEN_PID=$$ LISTEN_FDS=1; '
                  'exec "$0" serve --listen http://127.0.0.1:1')
        with subprocess.Popen(
                ["bash", "-c", script % listener.fileno(), str(airlock.binary())],
                pass_fds=[listener.fileno()], stderr=subprocess.DEVNULL,
                env={**os.environ, "NOTIFY_SOCKET": f"@airlock-test-{os.getpid()}"}) as process:
            try:
                self.assertEqual(told.recv(100), b"READY=1")
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/ready") as answer:
                    self.assertEqual(answer.status, 200)
                process.send_signal(signal.SIGTERM)
                self.assertEqual(told.recv(100), b"STOPPING=1")
                self.assertEqual(process.wait(30 * SLOW), 0)
            finally:
                process.kill()
                told.close()
                listener.close()

    def test_a_socket_beyond_this_machine_has_a_key_whoever_opened_it(self):
        script = ('exec 3<&%d; export LISTEN_PID=$$ LISTEN_FDS=1 AIRLOCK_STATE_DIR=%s; '
                  'exec "$0" serve')
        with tempfile.TemporaryDirectory() as state, \
                socket.create_server(("0.0.0.0", 0)) as listener:
            port = listener.getsockname()[1]
            with subprocess.Popen(
                    ["bash", "-c", script % (listener.fileno(), state), str(airlock.binary())],
                    pass_fds=[listener.fileno()], stderr=subprocess.DEVNULL) as process:
                try:
                    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30 * SLOW)
                    connection.request("POST", "/v1/run", '{"argv":["true"]}',
                                       {"Content-Type": "application/json"})
                    self.assertEqual(connection.getresponse().status, 401)
                    connection.close()
                finally:
                    process.terminate()
                    process.wait(30 * SLOW)

    def test_a_port_that_is_taken_is_named(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            url = f"http://127.0.0.1:{taken.getsockname()[1]}"
            done = subprocess.run([str(airlock.binary()), "serve", "--listen", url],
                                  capture_output=True, timeout=30 * SLOW, check=False)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn(b"Address already in use", done.stderr)
        self.assertIn(b"--listen", done.stderr)

    def test_beyond_this_machine_a_key_is_made_and_kept(self):
        with tempfile.TemporaryDirectory() as state:
            keys = []
            for _ in range(2):
                with Service("--listen", "http://0.0.0.0:0", "--state-dir", state) as service:
                    self.assertEqual(service.ask("POST", "/v1/run", "{}")[0], 401)
                    keys += [line["shown_once"] for line in service.log
                             if line["event"] == "serve.key_made"]
                    self.assertEqual(service.other_lines, [])
                    answer = service.ask_json("POST", "/v1/run", {"argv": ["true"]},
                                              {"X-API-Key": keys[0]})
                    self.assertEqual(answer[0], 200)
            self.assertEqual(len(keys), 1)
            self.assertEqual(os.stat(state + "/api-key").st_mode & 0o777, 0o600)

    @unittest.skipUnless(os.geteuid() == 0, "needs root")
    def test_on_its_defaults_it_takes_jobs(self):
        # As `airlock run` leaves it for root: closed to the user that the daemon becomes.
        script = 'mount -t tmpfs tmpfs /var/lib && mkdir -m 700 /var/lib/airlock && exec "$@"'
        program = ["unshare", "--mount", "sh", "-c", script, "sh", airlock.binary(), "serve"]
        with Service(program=program) as service:
            self.assertEqual(service.count("serve.no_jobs"), 0, service.log)
            self.assertEqual(service.ask_json("GET", "/v1/jobs")[0], 200)
            root = f"/proc/{service.process.pid}/root/var/lib/airlock"
            self.assertEqual(os.stat(root).st_mode & 0o777, 0o711)
            self.assertEqual(os.stat(root + "/service").st_mode & 0o777, 0o700)

    @unittest.skipUnless(os.geteuid() == 0, "needs root")
    def test_the_daemon_of_root_has_no_privilege(self):
        with Service() as service:
            status = open(f"/proc/{service.children()['daemon']}/status").read()
            fields = dict(line.split(":\t") for line in status.splitlines() if ":\t" in line)
            self.assertNotIn("0", fields["Uid"].split())
            for name in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
                self.assertEqual(int(fields[name], 16), 0, name)
            self.assertEqual(fields["NoNewPrivs"], "1")


if __name__ == "__main__":
    sys.exit(case.run_tests(__name__))
