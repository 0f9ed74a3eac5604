#!/usr/bin/env python3
"""`airlock serve` whose processes die or hang: it is back by itself, and nothing is left.

    tests/blackbox/serve_heal_test.py

Under load, and at every named point: serve_load_test.py, serve_crash_test.py.
"""

import os
import signal
import sys
import threading
import time
import unittest

import case
from case import SLOW
from serve_load_test import keepers, run_is_right
from service import Service
from support import leftovers


class Died(unittest.TestCase):
    def test_it_is_back_after_either_process_was_killed(self):
        before = leftovers.snapshot()
        with Service() as service:
            for round_number, name in enumerate(("daemon", "launcher", "daemon"), start=2):
                os.kill(service.children()[name], signal.SIGKILL)
                service.wait_for("serve.ready", round_number)
                self.assertEqual(service.run(argv=["true"])[1]["outcome"], "exited")
        self.assertEqual(leftovers.remaining(before), [])

    def test_a_launcher_that_is_killed_before_anything_ran_is_started_again(self):
        service = Service()
        killer = threading.Thread(target=self.kill_launcher_soon, args=[service])
        killer.start()
        with service:
            killer.join()
            service.wait_for("serve.died")
            self.assertEqual(service.run(argv=["true"])[1]["outcome"], "exited")

    @staticmethod
    def kill_launcher_soon(service):
        deadline = time.monotonic() + 10 * SLOW
        while time.monotonic() < deadline:
            launcher = getattr(service, "process", None) and service.children().get("launcher")
            if launcher:
                os.kill(launcher, signal.SIGKILL)
                return

    def test_nothing_survives_the_supervisor(self):
        before = leftovers.snapshot()
        with Service() as service:
            service.process.kill()
            service.process.wait()
            self.assertEqual(leftovers.remaining(before), [])


class Hangs(unittest.TestCase):
    def test_a_daemon_that_hangs_is_noticed(self):
        before = leftovers.snapshot()
        with Service() as service:
            ready = service.count("serve.ready")
            os.kill(service.children()["daemon"], signal.SIGSTOP)
            service.wait_for("serve.ready", ready + 1, seconds=60 * SLOW)
            self.assertIsNone(run_is_right(service))
        self.assertEqual(leftovers.remaining(before), [])

    def test_a_launcher_that_hangs_is_noticed(self):
        before = leftovers.snapshot()
        with Service() as service:
            os.kill(service.children()["launcher"], signal.SIGSTOP)
            # Sandboxes that are ready are used up, and no others come.
            self.assertEqual(service.run(argv=["true"])[1]["outcome"], "exited")
            self.assertEqual(service.wait_for("serve.died", seconds=90 * SLOW)["process"],
                             "launcher")
            service.wait_for("serve.ready", 2, seconds=60 * SLOW)
            self.assertIsNone(run_is_right(service))
        self.assertEqual(leftovers.remaining(before), [])

    def test_keepers_that_hang_do_not_outlive_their_launcher(self):
        before = leftovers.snapshot()
        with Service() as service:
            launcher = service.children()["launcher"]
            stopped = keepers(launcher)
            self.assertGreater(len(stopped), 0)
            for pid in stopped[::2]:
                os.kill(pid, signal.SIGSTOP)
            service.kill("daemon")
            service.wait_for("serve.ready", 2, seconds=60 * SLOW)
            self.assertEqual(service.count("serve.launcher_hangs"), 0)
            for pid in stopped:
                self.assertFalse(os.path.exists(f"/proc/{pid}"))
            self.assertIsNone(run_is_right(service))
        self.assertEqual(leftovers.remaining(before), [])


if __name__ == "__main__":
    sys.exit(case.run_tests(__name__))
