#!/usr/bin/env python3
"""`airlock serve` and what no honest client sends: each gets a clear error or is cut off, and
others are served as ever meanwhile.

    tests/blackbox/serve_hostile_test.py

What an ordinary client may get wrong is in serve_test.py.
"""

import contextlib
import json
import os
import resource
import socket
import struct
import sys
import threading
import time
import unittest

import case
import clients
from case import SLOW
from serve_load_test import memory_kib
from service import Service
from support import leftovers

POST = b"POST /v1/run HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
SLOW_MAX_SECONDS = 5 * SLOW  # for an honest run beside all this
IDLE = 10_000


def body(data):
    return POST + b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(data) + data


def text(value):
    return body(b'{"argv":["echo","' + value + b'"]}')


# (what it is, bytes, status, a part of the message)
MALFORMED = (
    ("two lengths", POST + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}", 400, "Length"),
    ("twice the same length", POST + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}", 400,
     "Length"),
    ("a list of lengths", POST + b"Content-Length: 2, 2\r\n\r\n{}", 400, "Length"),
    ("a signed length", POST + b"Content-Length: +2\r\n\r\n{}", 400, "Length"),
    ("a negative length", POST + b"Content-Length: -1\r\n\r\n{}", 400, "Length"),
    ("a length beyond 64 bits", POST + b"Content-Length: 18446744073709551617\r\n\r\n", 400,
     "Length"),
    ("a body that is too large", POST + b"Content-Length: 33554433\r\n\r\n", 413, "body"),
    ("length and chunks", POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"
     b"0\r\n\r\n", 400, "Transfer-Encoding"),
    ("two codings", POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n"
     b"0\r\n\r\n", 400, "Transfer-Encoding"),
    ("a coding nobody knows", POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 400,
     "Transfer-Encoding"),
    ("two hosts", b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n", 400, "Host"),
    ("two origins", POST + b"Origin: http://localhost\r\nOrigin: http://evil.example\r\n"
     b"Content-Length: 2\r\n\r\n{}", 400, "Origin"),
    ("two types of one body", POST + b"Content-Type: text/plain\r\nContent-Length: 2\r\n\r\n{}",
     400, "Content-Type"),
    ("two keys", POST + b"X-API-Key: a\r\nX-API-Key: b\r\nContent-Length: 2\r\n\r\n{}", 400,
     "X-API-Key"),
    ("no host", b"GET /health HTTP/1.1\r\n\r\n", 400, "Host"),
    ("a chunk size that is no number", CHUNKED + b"zz\r\n{}\r\n0\r\n\r\n", 400, "chunk"),
    ("a negative chunk size", CHUNKED + b"-1\r\n{}\r\n0\r\n\r\n", 400, "chunk"),
    ("a chunk size beyond 64 bits", CHUNKED + b"11111111111111111\r\n{}\r\n", 400, "chunk"),
    ("a chunk beyond the body's limit", CHUNKED + b"7fffffff\r\n{}\r\n", 413, "body"),
    ("a chunk longer than it says", CHUNKED + b"1\r\n{}\r\n0\r\n\r\n", 400, "chunk"),
    ("a chunk extension without end", CHUNKED + b"2;" + b"x" * 200_000, 431, "chunk"),
    ("a header without end", b"GET /health HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 200_000,
     431, "headers"),
    ("many headers", b"GET /health HTTP/1.1\r\nHost: localhost\r\n" +
     b"".join(b"A%d: x\r\n" % i for i in range(1000)) + b"\r\n", 431, "headers"),
    ("a header with a line of its own", b"GET /health HTTP/1.1\r\nHost: localhost\r\n"
     b"X: a\nb\r\n\r\n", 400, "malformed"),
    ("a header with NUL", b"GET /health HTTP/1.1\r\nHost: localhost\r\nX: a\0b\r\n\r\n", 400,
     "malformed"),
    ("a space before the colon", b"GET /health HTTP/1.1\r\nHost : localhost\r\n\r\n", 400,
     "malformed"),
    ("another protocol", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, "HTTP/1.1"),
    ("TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200), 400, "malformed"),
    ("a target elsewhere", b"GET http://elsewhere/ HTTP/1.1\r\nHost: localhost\r\n\r\n", 400,
     "target"),
    ("a GET with a body", b"GET /health HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}",
     400, "body"),
    ("bytes that are no UTF-8", text(b"\xff\xfe"), 400, "JSON"),
    ("an overlong character", text(b"\xc0\xaf"), 400, "JSON"),
    ("half of a character", text(b"\xe2\x82"), 400, "JSON"),
    ("a surrogate as bytes", text(b"\xed\xa0\x80"), 400, "JSON"),
    ("half of a surrogate pair", text(b"\\ud800"), 400, "JSON"),
    ("NUL in an argument", text(b"a\\u0000b"), 400, "NUL"),
    ("nested arrays", body(b"[" * 200_000), 400, "deep"),
    ("nested objects", body(b'{"a":' * 100_000), 400, "deep"),
    ("a key twice", body(b'{"argv":["true"],"argv":["false"]}'), 400, "twice"),
    ("a million values", body(b'{"argv":[' + b"1," * 1_000_000 + b"1]}"), 400, "values"),
    ("a number beyond all", body(b'{"argv":["true"],"limits":{"wall_ms":1e999}}'), 400, ""),
    ("half of the JSON", body(b'{"argv":["tr'), 400, "JSON"),
    ("something after the JSON", body(b'{"argv":["true"]} {}'), 400, "JSON"),
    ("nothing", body(b""), 400, "JSON"),
)


def received(connection):
    data = b""
    with contextlib.suppress(ConnectionResetError):
        while piece := connection.recv(65536):
            data += piece
    return data


def reset(connection):
    """Closes so that the peer is told of an error."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


class Hostile(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.before = leftovers.snapshot()
        cls.service = Service("--wait", "60s")
        cls.service.__enter__()

    @classmethod
    def tearDownClass(cls):
        died = cls.service.count("serve.died")
        code = cls.service.stop()
        left = leftovers.remaining(cls.before)
        if code != 0 or left or died:
            raise AssertionError(f"exit code {code}, {died} died, left behind: {left}")

    def assert_others_are_served(self):
        started = time.monotonic()
        status, answer = self.service.run(**clients.honest_request(3))
        self.assertIsNone(clients.check_honest(3, status, answer))
        self.assertLess(time.monotonic() - started, SLOW_MAX_SECONDS)

    def wait_until_nothing_runs(self):
        deadline = time.monotonic() + 20 * SLOW
        while time.monotonic() < deadline:
            concurrency = self.service.ask_json("GET", "/health")[1]["concurrency"]
            if concurrency["inflight"] == concurrency["waiting"] == 0:
                return
            time.sleep(0.05)
        self.fail(f"still: {concurrency}")

    def test_what_is_malformed_is_told_what_is_wrong(self):
        for what, data, status, part in MALFORMED:
            with self.subTest(what=what), self.service.raw() as connection:
                with contextlib.suppress(ConnectionResetError, BrokenPipeError):
                    connection.sendall(data)
                head, _, content = received(connection).partition(b"\r\n\r\n")
                self.assertEqual(head.split(b" ")[:2], [b"HTTP/1.1", b"%d" % status], content)
                self.assertIn(part, json.loads(content)["error"]["message"])
        self.assert_others_are_served()

    def test_bytes_of_a_request_that_was_refused_are_no_request(self):
        with self.service.raw() as connection:
            connection.sendall(CHUNKED + b"zz\r\nGET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
            self.assertEqual(received(connection).count(b"HTTP/1.1 "), 1)

    def test_truncated_at_every_place_it_is_nobodys_loss(self):
        whole = body(b'{"argv":["sleep","1000"]}')
        for end in range(0, len(whole), 7):
            for break_off in (socket.socket.close, reset):
                connection = self.service.raw()
                connection.sendall(whole[:end])
                break_off(connection)
        self.assert_others_are_served()
        self.wait_until_nothing_runs()

    def test_half_closed_is_the_end_of_a_request_that_is_not_whole(self):
        for data in (b"", b"GET /health HT", POST, POST + b"Content-Length: 9\r\n\r\n{", CHUNKED):
            with self.subTest(data=data), self.service.raw() as connection:
                connection.sendall(data)
                connection.shutdown(socket.SHUT_WR)
                answer = received(connection)
                self.assertEqual(answer.split(b"\r\n")[0],
                                 b"HTTP/1.1 400 Bad Request" if data else b"")
        self.assert_others_are_served()

    def test_half_closed_after_the_request_ends_the_run(self):
        with self.service.raw() as connection:
            connection.sendall(body(b'{"argv":["sleep","1000"]}'))
            connection.shutdown(socket.SHUT_WR)
            started = time.monotonic()
            received(connection)
            self.assertLess(time.monotonic() - started, SLOW_MAX_SECONDS)
        self.wait_until_nothing_runs()

    def test_a_flood_of_further_requests_ends_the_run(self):
        with self.service.raw() as connection:
            connection.sendall(body(b'{"argv":["sleep","1000"]}'))
            with contextlib.suppress(ConnectionResetError, BrokenPipeError):
                connection.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n" * 10_000)
            self.wait_until_nothing_runs()

    def test_slow_heads_bodies_and_readers_hold_nobody_up(self):
        slow = [self.service.raw(timeout=90 * SLOW) for _ in range(600)]
        try:
            big = body(b'{"argv":["sh","-c","yes | head -c 900000"]}')
            for number, connection in enumerate(slow):
                connection.sendall((b"POST /v1/run HTTP/1.1\r\nHo", CHUNKED + b"5\r\n{\"", big)
                                   [number % 3])
            for _ in range(3):
                self.assert_others_are_served_beside(slow)
            # A head has 10 s from its first byte, however steadily it drips.
            started = time.monotonic()
            for number in (0, 3):
                self.assertTrue(received(slow[number]).startswith(b"HTTP/1.1 408 "))
            self.assertLess(time.monotonic() - started, 20 * SLOW)
            self.assertLess(memory_kib(self.service.children()["daemon"]), 600 * 1024)
        finally:
            for connection in slow:
                reset(connection)
        self.wait_until_nothing_runs()

    def assert_others_are_served_beside(self, slow):
        for number, connection in enumerate(slow):
            if number % 3 < 2:
                with contextlib.suppress(OSError):
                    connection.send(b"s" if number % 3 == 0 else b"a")
        # 200 of them have runs of their own, which come first.
        status, answer = self.service.run(**clients.honest_request(3))
        self.assertIsNone(clients.check_honest(3, status, answer))

    def test_what_a_web_page_can_send_is_refused_on_every_route(self):
        run = json.dumps({"argv": ["true"]})
        for kind in ("application/x-www-form-urlencoded", "multipart/form-data; boundary=x",
                     "text/plain;application/json", "", "application/json, text/plain"):
            for path in ("/v1/run", "/v1/run/stream", "/run", "/execute"):
                status, headers, _ = self.service.ask("POST", path, run, {"Content-Type": kind})
                self.assertEqual((status, headers["Access-Control-Allow-Origin"]), (415, None))
        for method, path in (("GET", "/health"), ("GET", "/ready"), ("GET", "/v1/languages"),
                             ("OPTIONS", "/v1/run"), ("POST", "/run"), ("GET", "/nowhere")):
            for headers in ({"Origin": "https://evil.example"}, {"Host": "evil.example"},
                            {"Origin": f"https://127.0.0.1:{self.service.port}"},
                            {"Host": f"127.0.0.1:{self.service.port}@evil.example"}):
                sent = run if method == "POST" else None
                status, told, _ = self.service.ask(method, path, sent, headers)
                self.assertEqual((status, told["Access-Control-Allow-Origin"]), (403, None), path)


class Readers(unittest.TestCase):
    def test_a_stream_that_nobody_reads_stops_its_program_and_then_ends_it(self):
        request = json.dumps({"argv": ["yes"], "limits": {"wall_ms": 60000, "cpu_ms": 60000}})
        seconds = int(3 * SLOW)
        with Service("--write-timeout", f"{seconds}s", "--default-output", "8m") as service, \
                socket.socket() as reader:
            reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            reader.connect(("127.0.0.1", service.port))
            reader.sendall(POST.replace(b"/v1/run", b"/v1/run/stream") +
                           b"Content-Length: %d\r\n\r\n" % len(request) + request.encode())
            started = time.monotonic()
            while service.ask_json("GET", "/health")[1]["concurrency"]["inflight"] == 0:
                self.assertLess(time.monotonic() - started, 10 * SLOW)
            self.assertEqual(service.run(argv=["true"])[1]["outcome"], "exited")
            while service.ask_json("GET", "/health")[1]["concurrency"]["inflight"] != 0:
                self.assertLess(time.monotonic() - started, 4 * seconds)
                time.sleep(0.1)
            self.assertGreater(time.monotonic() - started, seconds - 1)
            outcomes = service.ask_json("GET", "/health")[1]["runs"]["outcomes"]
            self.assertNotIn("output_limit", outcomes)  # it was held up, and did not flood
            self.assertLess(memory_kib(service.children()["daemon"]), 64 << 10)


class Idle(unittest.TestCase):
    """The daemon takes a quarter of the descriptors that it may have as connections."""

    def setUp(self):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        self.count = min(IDLE, hard - 200)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        self.hard = hard

    def hold(self, service, count):
        """Idle connections, and heads that never end; honest runs go on beside them."""
        crowd = clients.start([clients.Honest(service) for _ in range(2)])
        held = []
        try:
            for number in range(count):
                held.append(socket.create_connection(("127.0.0.1", service.port), 60 * SLOW))
                if number % 2:
                    with contextlib.suppress(OSError):
                        held[-1].sendall(b"POST /v1/run HTTP/1.1\r\nHost: loc")
            status, answer = service.run(**clients.honest_request(3))
            self.assertIsNone(clients.check_honest(3, status, answer))
            daemon = service.children()["daemon"]
            return memory_kib(daemon), len(os.listdir(f"/proc/{daemon}/fd"))
        finally:
            wrong = clients.stop(crowd, 60 * SLOW)
            for connection in held:
                connection.close()
            self.assertEqual(wrong, [])
            self.assertEqual(clients.total(crowd, "broken"), 0)
            self.assertGreater(min(client.answers for client in crowd), 0)

    def test_ten_thousand_idle_connections_cost_little_and_stop_nobody(self):
        with Service() as service:
            before = memory_kib(service.children()["daemon"])
            after, descriptors = self.hold(service, self.count)
            print(f"{self.count} connections, {descriptors} descriptors, {after - before} KiB more")
            self.assertLess(after - before, self.count * 8)
            self.assertEqual(service.count("serve.died"), 0)

    def test_more_than_the_service_takes_push_out_who_has_waited_longest(self):
        allowed = 2_000
        resource.setrlimit(resource.RLIMIT_NOFILE, (self.hard, self.hard))
        words = ["prlimit", f"--nofile={allowed}:{allowed}", case.airlock.binary(), "serve"]
        with Service(program=words) as service:
            _, descriptors = self.hold(service, min(self.count, 2 * allowed))
            self.assertLess(descriptors, allowed)
            self.assertEqual(service.run(argv=["true"])[1]["outcome"], "exited")


if __name__ == "__main__":
    sys.exit(case.run_tests(__name__))
