#!/usr/bin/env python3
"""`airlock doctor` from outside: is its verdict true, are its fixes there, does it leave nothing?

    tests/blackbox/doctor_test.py        # needs root; ordinary users are played by setuid

AIRLOCK names the binary to test. Prints one line per test, then `N passed, N failed`.
"""

import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from support import airlock, leftovers  # noqa: E402

ORDINARY = airlock.Caller(uid=65534)
ROOT = airlock.Caller()
CALLERS = (ROOT, ORDINARY)
SLOW = float(os.environ.get("AIRLOCK_TEST_SLOW", "1"))
GROUPS = {"kernel", "namespaces", "cgroup", "files", "memory", "host", "gpu", "install",
          "languages", "ports", "backends"}


def doctor(*options, caller=ROOT, binary=None, prefix=()):
    command = [*prefix, str(binary or airlock.binary()), "doctor", *options]
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, cwd="/",
                          timeout=20 * SLOW, env=caller.environment(), **caller.popen_options())


def report_of(*options, **how):
    done = doctor("--json", *options, **how)
    return done, json.loads(done.stdout)


def finding_of(report, name):
    return next(finding for finding in report["findings"] if finding["id"] == name)


def trial_groups():
    return [str(path) for mount in (leftovers.CGROUP_ROOT, *leftovers.CGROUP_ROOT.glob("*"))
            for path in mount.glob("airlock-doctor*")]


class Verdict(unittest.TestCase):
    def test_the_exit_code_is_the_verdict(self):
        for caller in CALLERS:
            done, report = report_of(caller=caller)
            self.assertEqual(done.returncode, 0 if report["ok"] else 1)
            self.assertEqual(report["ok"], report["counts"]["fail"] == 0)
            self.assertEqual(report["tier"], "full" if report["ok"] else None)

    def test_it_agrees_with_a_real_run(self):
        for caller in CALLERS:
            _, report = report_of(caller=caller)
            done = airlock.run("/bin/true", caller=caller)
            self.assertEqual(report["ok"], done.outcome == "exited", done.describe())
            said = set(done.result["isolation"]["missing"])
            self.assertLessEqual(said, set(report["missing"]), "doctor has not said so")

    def test_every_problem_has_a_meaning_and_a_fix(self):
        for caller in CALLERS:
            _, report = report_of(caller=caller)
            names = [finding["id"] for finding in report["findings"]]
            self.assertEqual(len(names), len(set(names)))
            for finding in report["findings"]:
                self.assertIn(finding["group"], GROUPS)
                self.assertIn(finding["status"], ("ok", "warn", "fail"))
                self.assertTrue(finding["seen"], finding["id"])
                if finding["status"] != "ok":
                    self.assertTrue(finding["meaning"] and finding["fix"], finding["id"])

    def test_counts_and_missing_are_those_of_the_findings(self):
        _, report = report_of(caller=ORDINARY)
        for status, count in report["counts"].items():
            self.assertEqual(count, sum(f["status"] == status for f in report["findings"]))
        self.assertEqual(report["missing"],
                         sorted({name for f in report["findings"] for name in f["missing"]}))

    def test_text_and_json_say_the_same(self):
        for caller in CALLERS:
            _, report = report_of(caller=caller)
            text = doctor(caller=caller).stdout.decode()
            self.assertIn("Runs will", text.splitlines()[0])
            self.assertNotIn("\x1b", text)
            for finding in report["findings"]:
                self.assertIn(finding["id"], text)


class BrokenHosts(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(prefix="doctor-test-")
        self.addCleanup(self.folder.cleanup)
        os.chmod(self.folder.name, 0o755)
        self.binary = pathlib.Path(self.folder.name, "airlock")
        shutil.copy(airlock.binary(), self.binary)

    def test_programs_that_are_not_beside_it(self):
        done, report = report_of(binary=self.binary)
        self.assertEqual(done.returncode, 1)
        for name in ("airlock-jail", "airlock-init"):
            finding = finding_of(report, name)
            self.assertEqual(finding["status"], "fail")
            self.assertIn(str(self.binary.parent), finding["seen"])
        self.assertTrue(doctor(binary=self.binary).stdout.startswith(b"Runs will NOT work"))

    def test_the_one_for_lower_tiers_is_missed_only_there(self):
        for name in ("airlock-jail", "airlock-init"):
            shutil.copy(airlock.binary().parent / name, self.binary.parent)
        done, report = report_of(binary=self.binary)
        self.assertEqual((done.returncode, report["tier"]), (0, "full"))
        self.assertEqual(finding_of(report, "airlock-nest")["status"], "warn")
        self.assertIn("install -m 0755", finding_of(report, "airlock-nest")["fix"])
        script = 'echo 0 > /proc/sys/user/max_user_namespaces && exec "$@"'
        done, report = report_of(binary=self.binary,
                                 prefix=("unshare", "-Ur", "sh", "-c", script, "sh"))
        self.assertEqual(done.returncode, 1)
        self.assertEqual(finding_of(report, "user_namespaces")["status"], "fail")

    def test_programs_that_others_may_change(self):
        for name in ("airlock-jail", "airlock-nest", "airlock-init"):
            shutil.copy(airlock.binary().parent / name, self.binary.parent)
        os.chmod(self.binary.parent / "airlock-jail", 0o777)
        done, report = report_of(binary=self.binary)
        self.assertEqual(done.returncode, 0)
        self.assertEqual(finding_of(report, "airlock-jail")["status"], "warn")
        self.assertEqual(finding_of(report, "airlock-init")["status"], "ok")

    def test_user_namespaces_used_up(self):
        # The limit is set in a user namespace of its own, so that it holds for nobody else.
        script = 'echo 0 > /proc/sys/user/max_user_namespaces && exec "$@"'
        done, report = report_of(prefix=("unshare", "-Ur", "sh", "-c", script, "sh"))
        self.assertEqual(done.returncode, 1)
        # Without namespaces there is a tier left, which has to be allowed.
        self.assertEqual(finding_of(report, "tier")["status"], "fail")
        finding = finding_of(report, "user_namespaces")
        self.assertEqual(finding["status"], "warn")
        self.assertIn("sysctl -w user.max_user_namespaces=", finding["fix"])

    def test_a_state_directory_without_room(self):
        script = 'mount -t tmpfs -o size=1m tmpfs /mnt && exec "$@" --state-dir /mnt/state'
        done, report = report_of(prefix=("unshare", "-m", "sh", "-c", script, "sh"))
        self.assertEqual(done.returncode, 0)
        self.assertEqual(finding_of(report, "disk_space")["status"], "warn")

    def test_a_port_in_use_names_its_owner(self):
        with socket.socket() as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(("127.0.0.1", 8088))
            listener.listen()
            done, report = report_of()
        self.assertEqual(done.returncode, 0)
        finding = finding_of(report, "port_8088")
        self.assertEqual(finding["status"], "warn")
        self.assertIn(f"(pid {os.getpid()})", finding["seen"])


class Manners(unittest.TestCase):
    def test_nothing_is_left_behind(self):
        before = leftovers.snapshot()
        for caller in CALLERS:
            for _ in range(5):
                doctor(caller=caller)
        self.assertEqual(leftovers.remaining(before), [])
        self.assertEqual(trial_groups(), [])

    def test_it_takes_less_than_a_second(self):
        for caller in CALLERS:
            seconds = []
            for _ in range(3):
                started = time.monotonic()
                doctor(caller=caller)
                seconds.append(time.monotonic() - started)
            self.assertLess(min(seconds), SLOW)

    def test_an_unknown_option_is_a_usage_error(self):
        done = doctor("--nonsense")
        self.assertEqual(done.returncode, airlock.USAGE_ERROR)
        self.assertIn(b"--nonsense", done.stderr)

    def test_a_full_pipe_is_an_error(self):
        with open("/dev/full", "wb") as full:
            done = subprocess.run([str(airlock.binary()), "doctor"], stdout=full,
                                  stderr=subprocess.DEVNULL, timeout=20 * SLOW)
        self.assertEqual(done.returncode, 1)


def main():
    suite = unittest.defaultTestLoader.loadTestsFromModule(sys.modules[__name__])
    result = unittest.TextTestRunner(stream=sys.stdout, verbosity=2).run(suite)
    failed = len({str(test) for test, _ in result.failures + result.errors})
    print(f"{result.testsRun - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
