#!/usr/bin/env python3
"""`airlock serve` under load: hostile programs among honest ones, and processes killed meanwhile.

    tests/blackbox/serve_load_test.py

AIRLOCK_SERVE_KILLS (10) and AIRLOCK_SERVE_SECONDS (8) make it longer. Every honest client gets its
true result, or a connection that ends when a process is killed; never a wrong one. Afterwards
nothing is left.
"""

import contextlib
import http.client
import os
import random
import signal
import socket
import sys
import threading
import time
import unittest

import case
from case import SLOW
from service import Service
from support import leftovers

KILLS = int(os.environ.get("AIRLOCK_SERVE_KILLS", "10"))
SECONDS = float(os.environ.get("AIRLOCK_SERVE_SECONDS", "8")) * SLOW
CLIENTS = 16
SHORT = {"wall_ms": 700, "cpu_ms": 400, "memory_bytes": 48 << 20, "pids": 24,
         "output_bytes": 65536}
HOSTILE = (
    {"language": "python", "code": "import os\nwhile True: os.fork()", "limits": SHORT},
    {"language": "python", "code": "a = []\nwhile True: a.append(bytearray(1 << 20))",
     "limits": SHORT},
    {"argv": ["sh", "-c", "while :; do echo flood flood flood; done"], "limits": SHORT},
    {"argv": ["sh", "-c", "trap '' TERM INT; while :; do :; done"], "limits": SHORT},
    {"argv": ["sh", "-c", "(sleep 1000 &) ; (setsid sleep 1000 &) ; exit 0"], "limits": SHORT},
    {"argv": ["sh", "-c", "cat /dev/zero > /workspace/f"], "limits": SHORT},
    {"argv": ["sh", "-c", "kill -KILL -1; kill -KILL 1"], "limits": SHORT},
)


class Client(threading.Thread):
    """Asks again and again until it is told to end; notes what it saw."""

    def __init__(self, service, requests, check):
        super().__init__(daemon=True)
        self.service, self.requests, self.check = service, requests, check
        self.answers = self.broken = 0
        self.wrong = []
        self.ends = threading.Event()

    def run(self):
        number = 0
        while not self.ends.is_set():
            number += 1
            request = self.requests(number)
            try:
                status, answer = self.service.ask_json("POST", "/v1/run", request)
            except (OSError, http.client.HTTPException, ValueError):
                self.broken += 1
                time.sleep(0.02)
                continue
            self.answers += 1
            if problem := self.check(number, status, answer):
                self.wrong.append(problem)


def honest_request(number):
    return {"argv": ["sh", "-c", "cat f; echo $((N + 1)); exit $((N % 7))"],
            "env": {"N": str(number)}, "files": [{"path": "f", "content": f"file {number}\n"}],
            "limits": {"wall_ms": 60000}}


def check_honest(number, status, answer):
    expected = (200, "exited", number % 7, f"file {number}\n{number + 1}\n")
    seen = (status, answer.get("outcome"), answer.get("exit_code"), answer.get("stdout"))
    return None if seen == expected else f"expected {expected}, saw {seen}: {answer}"


def check_hostile(_, status, answer):
    fine = status == 429 or (status == 200 and answer["outcome"] != "setup_failed")
    return None if fine else f"{status} {answer}"


class Load(unittest.TestCase):
    def start(self, service, honest, hostile):
        clients = [Client(service, honest_request, check_honest) for _ in range(honest)]
        clients += [Client(service, lambda _: random.choice(HOSTILE), check_hostile)
                    for _ in range(hostile)]
        for client in clients:
            client.start()
        return clients

    def end(self, clients):
        for client in clients:
            client.ends.set()
        for client in clients:
            client.join(120 * SLOW)
            self.assertFalse(client.is_alive())
        self.assertEqual([problem for client in clients for problem in client.wrong], [])

    def daemon_kib(self, service):
        text = open(f"/proc/{service.children()['daemon']}/status").read()
        return int(text.split("VmRSS:")[1].split()[0])

    def test_honest_clients_get_their_true_results_beside_hostile_ones(self):
        before = leftovers.snapshot()
        with Service("--wait", "60s") as service:
            clients = self.start(service, honest=CLIENTS // 2, hostile=CLIENTS // 2)
            time.sleep(SECONDS)
            self.end(clients)
            self.assertGreater(sum(client.answers for client in clients), 10)
            self.assertEqual(sum(client.broken for client in clients), 0)
            self.assertLess(self.daemon_kib(service), 64 * 1024)
        self.assertEqual(leftovers.remaining(before), [])

    def test_killed_at_random_moments_it_is_back_and_nothing_is_left(self):
        before = leftovers.snapshot()
        seed = random.randrange(1 << 32)
        print(f"seed {seed}, {KILLS} kills", flush=True)
        rng = random.Random(seed)
        with Service("--wait", "60s") as service:
            clients = self.start(service, honest=CLIENTS // 2, hostile=2)
            for kill in range(KILLS):
                time.sleep(rng.uniform(0, 0.3) * SLOW)
                for name in rng.choice((("daemon",), ("launcher",), ("daemon", "launcher"))):
                    # The death of one may have been the other's, too.
                    with contextlib.suppress(KeyError, ProcessLookupError):
                        os.kill(service.children()[name], signal.SIGKILL)
                service.wait_for("serve.ready", kill + 2, seconds=60 * SLOW)
            self.end(clients)
            self.assertGreater(sum(client.answers for client in clients), KILLS)
            self.assertEqual(service.run(argv=["true"])[1]["outcome"], "exited")
        self.assertEqual(leftovers.remaining(before), [])

    def test_many_idle_connections_cost_little_and_stop_nobody(self):
        idle = []
        with Service() as service:
            before = self.daemon_kib(service)
            try:
                for _ in range(500):
                    idle.append(socket.create_connection(("127.0.0.1", service.port)))
                for connection in idle[::2]:
                    connection.sendall(b"POST /v1/run HTTP/1.1\r\nHost: loc")
                self.assertEqual(service.run(argv=["true"])[1]["outcome"], "exited")
                self.assertLess(self.daemon_kib(service) - before, 500 * 8)
            finally:
                for connection in idle:
                    connection.close()


if __name__ == "__main__":
    sys.exit(case.run_tests(__name__))
