"""A running `airlock serve` for tests: started on a port of its own, stopped by pid."""

import contextlib
import http.client
import json
import os
import pathlib
import signal
import socket
import subprocess
import threading
import time
import unittest

from support import airlock, leftovers

SLOW = float(os.environ.get("AIRLOCK_TEST_SLOW", "1"))
START_SECONDS = 30 * SLOW
STOP_SECONDS = 45 * SLOW


class Service:
    """`with Service() as service:`; every line of its log is in `log` as an object. `program` is
    the command that serves, without its options."""

    def __init__(self, *words, env=None, program=None):
        self.program = program or [airlock.binary(), "serve"]
        self.words = words
        self.env = env or {}
        self.log = []
        self.other_lines = []
        self.news = threading.Condition()

    def __enter__(self):
        command = [*map(str, self.program), *self.words]
        if "--listen" not in self.words and "AIRLOCK_LISTEN" not in self.env:
            command += ["--listen", "http://127.0.0.1:0"]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                                        env={**os.environ, **self.env}, start_new_session=True)
        self.reader = threading.Thread(target=self._read_log, daemon=True)
        self.reader.start()
        try:
            started = self.wait_for("serve.start")
            self.wait_for("serve.ready")
        except BaseException:
            self.stop()
            raise
        self.url = started["listen"][0]
        self.port = int(self.url.rsplit(":", 1)[1])
        return self

    def __exit__(self, *_):
        self.stop()

    def _read_log(self):
        for line in self.process.stderr:
            with self.news:
                try:
                    self.log.append(json.loads(line))
                except ValueError:
                    self.other_lines.append(line.decode("utf8", "replace").rstrip())
                self.news.notify_all()
        with self.news:
            self.news.notify_all()

    def wait_for(self, event, count=1, seconds=START_SECONDS):
        """The log line of the `count`th such event."""
        deadline = time.monotonic() + seconds
        with self.news:
            while True:
                found = [line for line in self.log if line.get("event") == event]
                if len(found) >= count:
                    return found[count - 1]
                if time.monotonic() > deadline or self.process.poll() is not None:
                    raise AssertionError(f"no {event} in {self.log[-5:]} {self.other_lines[-5:]}")
                self.news.wait(0.1)

    def wait_for_lines(self):
        """Until what the service has written so far has been read: it is told to write one more."""
        refreshed = self.count("serve.refresh")
        self.process.send_signal(signal.SIGHUP)
        self.wait_for("serve.refresh", refreshed + 1)

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                raise
        self.reader.join(10)
        self.process.stderr.close()
        return self.process.returncode

    def count(self, event):
        with self.news:
            return sum(line.get("event") == event for line in self.log)

    def kill(self, *names):
        """Kills those with SIGKILL that there are; how many."""
        pids, killed = self.children(), 0
        for name in names:
            with contextlib.suppress(KeyError, ProcessLookupError):
                os.kill(pids[name], signal.SIGKILL)
                killed += 1
        return killed

    def children(self):
        """{"daemon": pid, "launcher": pid} of the life that runs now."""
        found = {}
        for pid in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError, IndexError):
                fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
                if int(fields[1]) != self.process.pid or fields[0] == "Z":
                    continue
                name = os.path.basename(os.readlink(f"/proc/{pid}/exe"))
                is_launcher = name.startswith("airlock-jail")
                found["launcher" if is_launcher else "daemon"] = int(pid)
        return found

    def connect(self, timeout=30 * SLOW):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)

    def raw(self, timeout=30 * SLOW):
        return socket.create_connection(("127.0.0.1", self.port), timeout=timeout)

    def ask(self, method, path, body=None, headers=None):
        """(status, headers, body as bytes)"""
        connection = self.connect()
        try:
            given = {"Content-Type": "application/json"} if body is not None else {}
            if isinstance(body, (dict, list)):
                body = json.dumps(body)
            connection.request(method, path, body, {**given, **(headers or {})})
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            connection.close()

    def ask_json(self, method, path, body=None, headers=None):
        status, _, text = self.ask(method, path, body, headers)
        return status, json.loads(text)

    def run(self, **request):
        return self.ask_json("POST", "/v1/run", request)


class ServiceCase(unittest.TestCase):
    """Tests of one service, started with WORDS: it ends as it should, and leaves nothing."""
    WORDS = ()

    @classmethod
    def setUpClass(cls):
        cls.before = leftovers.snapshot()
        cls.service = Service(*cls.WORDS)
        cls.service.__enter__()

    @classmethod
    def tearDownClass(cls):
        code = cls.service.stop()
        left = leftovers.remaining(cls.before)
        if code != 0 or left:
            raise AssertionError(f"exit code {code}, left behind: {left}")

    def run_ok(self, **request):
        status, result = self.service.run(**request)
        self.assertEqual(status, 200, result)
        return result

    def assert_error(self, answer, status, code, **parts):
        self.assertEqual(answer[0], status, answer)
        error = answer[1]["error"]
        self.assertEqual(error["code"], code)
        for name, part in parts.items():
            self.assertIn(part, error.get(name, ""))
