#!/usr/bin/env python3
"""`airlock serve` under load: hostile programs among honest ones, and processes killed meanwhile.

    tests/blackbox/serve_load_test.py

AIRLOCK_SERVE_KILLS (50; 10 on an emulated machine), AIRLOCK_SERVE_SECONDS (8) and
AIRLOCK_SERVE_SEED make it longer or repeat it; tests/soak/service_soak.py does. Every honest client
gets its true result, or a connection that ends, or an error that says nothing of its run, when a
process is killed; never a wrong result. Afterwards nothing is left.
"""

import contextlib
import os
import pathlib
import random
import signal
import sys
import time
import unittest

import case
import clients
from case import SLOW
from clients import Honest, Hostile, Rude
from service import Service
from support import leftovers

EMULATED = SLOW > 1
KILLS = int(os.environ.get("AIRLOCK_SERVE_KILLS", "10" if EMULATED else "50"))
CLIENTS = 16 if EMULATED else 64
SECONDS = float(os.environ.get("AIRLOCK_SERVE_SECONDS", "8")) * SLOW
SEED = int(os.environ.get("AIRLOCK_SERVE_SEED", random.randrange(1 << 32)))
VICTIMS = (("daemon",), ("launcher",), ("daemon", "launcher"), ("launcher", "daemon"), ("keeper",))
# While a process is killed: the host failed, or the service is ending.
CLEAN = (500, 502, 503)
DAEMON_KIB_MAX = 96 * 1024
END_SECONDS = 120 * SLOW


def memory_kib(pid, field="VmRSS"):
    text = pathlib.Path(f"/proc/{pid}/status").read_text(encoding="utf8")
    return int(text.split(field + ":")[1].split()[0])


def keepers(launcher):
    """Its children, newest last."""
    with contextlib.suppress(OSError):
        text = pathlib.Path(f"/proc/{launcher}/task/{launcher}/children").read_text()
        return list(map(int, text.split()))
    return []


def kill_one_of(service, names, rng):
    if names != ("keeper",):
        return service.kill(*names)
    found = keepers(service.children().get("launcher", 0))
    with contextlib.suppress(IndexError, ProcessLookupError):
        os.kill(rng.choice(found), signal.SIGKILL)
        return 1
    return 0


def run_is_right(service, seconds=60 * SLOW):
    """Asks until there is an answer: whoever asks while all is killed is told nothing."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            status, answer = service.run(**clients.honest_request(1))
            if status not in CLEAN:
                return clients.check_honest(1, status, answer)
            problem = f"{status} {answer}"
        except clients.BROKEN as error:
            problem = repr(error)
        if time.monotonic() > deadline:
            return problem
        time.sleep(0.02)


def kill_again_and_again(service, count, rng):
    """What was wrong. Each time the service is ready again by itself, unless a keeper was killed,
    whom nobody else depends on; now and then it is killed before it is ready, too."""
    for number in range(count):
        time.sleep(rng.uniform(0, 0.3) * SLOW)
        names = rng.choice(VICTIMS)
        ready = service.count("serve.ready")
        killed = kill_one_of(service, names, rng)
        if names != ("keeper",) and killed:
            if rng.random() < 0.2:
                time.sleep(rng.uniform(0, 0.4) * SLOW)
                service.kill(*rng.choice(VICTIMS[:3]))
            service.wait_for("serve.ready", ready + 1, seconds=60 * SLOW)
        if number % 100 == 99:
            print(f"{number + 1} killed", flush=True)
        if number % 10 == 9 and (problem := run_is_right(service)):
            return f"after kill {number + 1} of {'+'.join(names)}: {problem}"
    return None


class Load(unittest.TestCase):
    def end(self, crowd):
        self.assertEqual(clients.stop(crowd, END_SECONDS), [])

    def test_honest_clients_get_their_true_results_beside_hostile_ones(self):
        before = leftovers.snapshot()
        with Service("--wait", "60s") as service:
            honest = [Honest(service) for _ in range(CLIENTS // 2)]
            hostile = [Hostile(service) for _ in range(CLIENTS * 3 // 8)]
            rude = [Rude(service) for _ in range(CLIENTS // 8)]
            crowd = clients.start([*honest, *hostile, *rude])
            most = 0
            for _ in range(20):
                time.sleep(SECONDS / 20)
                most = max(most, memory_kib(service.children()["daemon"]))
            self.end(crowd)
            print(f"{clients.total(honest, 'answers')} honest and "
                  f"{clients.total(hostile, 'answers')} hostile answers, daemon {most} KiB at most")
            self.assertGreater(min(client.answers for client in honest), 0)
            self.assertGreater(clients.total(hostile, "answers"), 0)
            self.assertEqual(clients.total([*honest, *hostile], "broken"), 0)
            self.assertLess(most, DAEMON_KIB_MAX)
            self.assertEqual(service.count("serve.died"), 0)
        self.assertEqual(leftovers.remaining(before), [])

    def test_killed_at_random_moments_it_is_back_and_nothing_is_left(self):
        before = leftovers.snapshot()
        print(f"seed {SEED}, {KILLS} kills", flush=True)
        rng = random.Random(SEED)
        with Service("--wait", "60s") as service:
            honest = [Honest(service, CLEAN) for _ in range(8)]
            crowd = clients.start([*honest, *(Hostile(service, CLEAN) for _ in range(3)),
                                   Rude(service)])
            wrong = kill_again_and_again(service, KILLS, rng)
            self.end(crowd)
            self.assertIsNone(wrong)
            print(f"{clients.total(honest, 'answers')} right, {clients.total(honest, 'broken')} "
                  f"broken, {clients.total(honest, 'refused')} told of an error")
            self.assertGreater(clients.total(honest, "answers"), KILLS)
            self.assertIsNone(run_is_right(service))
        self.assertEqual(leftovers.remaining(before), [])


if __name__ == "__main__":
    sys.exit(case.run_tests(__name__))
