#!/usr/bin/env python3
"""`airlock run` as a process: signals, privileges, death.

    tests/blackbox/run_process_test.py

As run_cli_test.py, which has everything else.
"""

import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time
import unittest

import case
from case import SLOW, Case
from support import leftovers

STUBBORN = ("import signal, time\nfor s in (2, 15): signal.signal(s, signal.SIG_IGN)\n"
            "print('ready', flush=True)\ntime.sleep(50)\n")


class Signals(Case):
    def test_signals_that_the_caller_ignores_or_blocks_are_as_usual_inside(self):
        def ignore_all():
            for number in set(range(1, 65)) - {signal.SIGKILL, signal.SIGSTOP, 32, 33}:
                signal.signal(number, signal.SIG_IGN)
            signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))

        prog = self.write("prog.sh", "grep -E '^Sig(Blk|Ign)' /proc/self/status\n")
        done = self.airlock("run", prog, preexec_fn=ignore_all)
        self.assertEqual(done.returncode, 0, done.stderr)
        masks = dict(line.split() for line in done.stdout.decode().splitlines())
        self.assertEqual(masks, dict.fromkeys(("SigBlk:", "SigIgn:"), "0" * 16))


class Cancelling(Case):
    def start(self, text, *options):
        prog = self.write("p.py", text)
        process = subprocess.Popen(self.command("run", "--timeout", "60s", *options, prog),
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        self.assertEqual(process.stdout.readline(), b"ready\n")
        return process

    def end_of(self, process):
        out, err = process.communicate(timeout=20 * SLOW)
        return process.returncode, out, err

    def test_ctrl_c_reaches_the_program(self):
        process = self.start("import time\ntry:\n  print('ready', flush=True)\n  time.sleep(50)\n"
                             "except KeyboardInterrupt: print('bye')\n")
        process.send_signal(signal.SIGINT)
        self.assertEqual(self.end_of(process), (130, b"bye\n", b"airlock: cancelled\n"))

    def test_program_that_ignores_signals_ends_within_the_grace(self):
        process = self.start(STUBBORN)
        started = time.monotonic()
        process.send_signal(signal.SIGINT)
        self.assertEqual(self.end_of(process)[0], 130)
        self.assertLess(time.monotonic() - started, 5 * SLOW)

    def test_second_ctrl_c_ends_it_at_once(self):
        process = self.start(STUBBORN)
        process.send_signal(signal.SIGINT)
        time.sleep(0.1)
        started = time.monotonic()
        process.send_signal(signal.SIGINT)
        self.assertEqual(self.end_of(process)[0], 130)
        self.assertLess(time.monotonic() - started, 1 * SLOW)

    @unittest.skipUnless(shutil.which("setpriv"), "needs setpriv")
    def test_a_death_signal_of_the_caller_still_works(self):
        # Supervisors ask for it, and a change of uid would clear it.
        before = leftovers.snapshot()
        prog = self.write("prog.py", "print('ready', flush=True)\nimport time\ntime.sleep(50)\n")
        words = " ".join(self.command("run", prog))
        shell = subprocess.Popen(["sh", "-c", f"setpriv --pdeathsig KILL {words} & wait"],
                                 stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
        self.addCleanup(shell.stdout.close)
        self.assertEqual(shell.stdout.readline(), b"ready\n")
        shell.kill()
        shell.wait()
        self.assertEqual(leftovers.remaining(before), [])

    def test_nothing_is_left_after_a_kill(self):
        before = leftovers.snapshot()
        process = self.start("import os, time\nif os.fork():\n  print('ready', flush=True)\n"
                             "time.sleep(50)\n")
        process.kill()
        process.wait()
        self.assertEqual(leftovers.remaining(before), [])


class Privileges(Case):
    @unittest.skipUnless(os.geteuid() == 0, "needs root")
    def test_no_other_user_can_reach_the_roots_of_sandboxes(self):
        # Whoever can lock a skeleton can stop every run.
        self.run_python("pass")
        self.assertEqual(os.stat("/run/airlock").st_mode & 0o7777, 0o700)

    @unittest.skipUnless(os.geteuid() == 0, "needs root")
    def test_root_is_given_up_before_anything_of_a_guest_is_read(self):
        prog = self.write("p.py", "import time\nprint('ready', flush=True)\ntime.sleep(50)\n")
        with subprocess.Popen(self.command("run", "--timeout", "60s", prog),
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL) as process:
            process.stdout.readline()
            status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
            process.kill()
        fields = dict(line.split(":\t") for line in status.splitlines() if ":\t" in line)
        for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
            self.assertEqual(int(fields[name], 16), 0, name)
        self.assertEqual(fields["NoNewPrivs"], "1")


if __name__ == "__main__":
    sys.exit(case.run_tests(__name__))
