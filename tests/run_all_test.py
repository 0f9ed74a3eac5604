#!/usr/bin/env python3
"""Shows that the sum of all suites believes no suite that did not end well."""

import contextlib
import io
import os
import pathlib
import signal
import sys
import tempfile
import time
import unittest
from unittest import mock

import run_all

# As ctest writes it: two passed, one failed, one not built, one that skipped itself, one disabled.
REPORT = """<testsuite name="(empty)" tests="6" failures="1" disabled="1" skipped="2">
<testcase name="a" status="run"/>
<testcase name="b" status="run"><system-out>text</system-out></testcase>
<testcase name="c" status="fail"><failure message=""/></testcase>
<testcase name="d" status="notrun"><skipped message="Unable to find executable"/></testcase>
<testcase name="e" status="notrun">
<skipped message="SKIP_REGULAR_EXPRESSION_MATCHED"/></testcase>
<testcase name="f" status="disabled"/>
</testsuite>"""

# What the suites print, with the names of failed tests among it, and those names.
OUTPUT = """--- first_test
test_a (__main__.A.test_a) ... FAIL
FAIL: test_a (__main__.A.test_a)
ERROR: setUpClass (__main__.B)
FAILED (failures=1, errors=1)
--- security-root (as root, system cgroup)
ok   T-01 a threat: contained
FAIL T-02 a threat: ESCAPED
FAILED memory_limit: nothing was killed
FAILURE is no verdict, nor is what a program says: FAIL
[  FAILED  ] JailTest.Holds (12 ms)
[  FAILED  ] 1 test, listed below:
[  FAILED  ] JailTest.Holds
3 passed, 6 failed"""
NAMED = ["first_test: FAIL: test_a (__main__.A.test_a)",
         "first_test: ERROR: setUpClass (__main__.B)",
         "security-root: FAIL T-02 a threat: ESCAPED",
         "security-root: FAILED memory_limit: nothing was killed",
         "security-root: [  FAILED  ] JailTest.Holds"]


class FailedLinesTest(unittest.TestCase):
    def test_every_failed_test_is_named_once(self):
        named = run_all.FailedLines()
        for line in OUTPUT.splitlines():
            named.see(line)
        self.assertEqual(list(named), NAMED)

    def test_their_number_and_length_have_limits(self):
        named = run_all.FailedLines()
        for number in range(run_all.FAILED_LINES_MAX + 7):
            named.see(f"FAIL {number} " + "x" * 1000)
        lines = list(named)
        self.assertEqual(len(lines), run_all.FAILED_LINES_MAX + 1)
        self.assertEqual(len(lines[0]), run_all.FAILED_LINE_LENGTH_MAX)
        self.assertEqual(lines[-1], "and 7 more")


class EndOfOutputTest(unittest.TestCase):
    def output_of(self, script, *options):
        with tempfile.TemporaryDirectory() as folder:
            program = pathlib.Path(folder) / "run.py"
            program.write_text(script, encoding="utf-8")
            suite = run_all.Suite("sample", "release", str(program), 60)
            with (mock.patch.object(run_all, "SUITES", (suite,)),
                  mock.patch.object(sys, "argv", ["run_all.py", *options]),
                  contextlib.redirect_stdout(io.StringIO()) as out):
                run_all.main()
        return out.getvalue().splitlines()

    def test_what_failed_stands_above_the_sum(self):
        lines = self.output_of("print('FAIL a: b\\nok   c\\n1 passed, 1 failed'); exit(1)")
        self.assertEqual(lines[-3:], ["=== what failed", "sample: FAIL a: b", "1 passed, 1 failed"])

    def test_a_suite_that_broke_is_named_too(self):
        lines = self.output_of("print('ok   c')")
        self.assertEqual(lines[-2:], ["sample: ended with status 0 and without a sum",
                                      "0 passed, 1 failed"])

    def test_nothing_is_named_where_nothing_failed(self):
        lines = self.output_of("print('ok   c\\n1 passed, 0 failed')")
        self.assertNotIn("=== what failed", lines)
        self.assertEqual(lines[-1], "1 passed, 0 failed")


class BuildsTest(unittest.TestCase):
    def builds(self, presets, script):
        """Builds in which this shell text, with a preset as $1, stands for building it."""
        return run_all.Builds(presets, ("sh", "-c", script, "build"))

    def test_the_first_is_built_at_once_and_others_when_they_are_asked_for(self):
        with tempfile.TemporaryDirectory() as folder:
            script = f'test "$1" = first || sleep 0.5; touch {folder}/"$1"'
            with self.builds(["first", "second"], script) as builds:
                self.assertTrue((pathlib.Path(folder) / "first").exists())
                self.assertFalse((pathlib.Path(folder) / "second").exists())
                self.assertIsNone(builds.problem_with("first"))
                self.assertIsNone(builds.problem_with("second"))
                self.assertTrue((pathlib.Path(folder) / "second").exists())

    def test_what_fails_is_a_problem_of_its_suites_only(self):
        with self.builds(["first", "second"], 'test "$1" = first') as builds:
            self.assertIn("could not be built", builds.problem_with("second"))
            self.assertIsNone(builds.problem_with("first"))
        with self.builds(["first", "second"], "false") as builds:
            self.assertIn("could not be built", builds.problem_with("first"))
            self.assertIn("could not be built", builds.problem_with("second"))

    def test_what_is_built_behind_gives_way_to_the_suites(self):
        with self.builds(["first", "second"], 'test "$1" = first || exec sleep 1000') as builds:
            group = pathlib.Path(f"/proc/{builds.behind.pid}/autogroup")
            if group.exists():  # a kernel that has sessions share alike
                self.assertTrue(group.read_text().strip().endswith("nice 19"), group.read_text())
            time.sleep(0.2)
            self.assertEqual(os.sched_getscheduler(builds.behind.pid), os.SCHED_IDLE)

    def test_what_is_still_being_built_ends_with_us(self):
        with self.builds(["first", "second"], 'test "$1" = first || exec sleep 1000') as builds:
            behind = builds.behind
        self.assertEqual(behind.returncode, -signal.SIGKILL)

    def test_without_presets_nothing_is_built(self):
        with self.builds([], "false") as builds:
            self.assertIsNone(builds.problem_with("release"))


class RunSuiteTest(unittest.TestCase):
    def result_of(self, script, timeout_seconds=60):
        """(passed, failed, skipped) and the problem of a suite that is this Python text."""
        with tempfile.TemporaryDirectory() as folder:
            program = pathlib.Path(folder) / "run.py"
            program.write_text(script, encoding="utf-8")
            suite = run_all.Suite("sample", "release", str(program), timeout_seconds)
            with contextlib.redirect_stdout(io.StringIO()):
                count, problem = run_all.run_suite(suite, run_all.FailedLines())
        return (count.passed, count.failed, count.skipped), problem

    def assert_problem(self, words, counts, script, **options):
        result, problem = self.result_of(script, **options)
        self.assertEqual(result, counts)
        self.assertIn(words, problem)

    def test_a_good_suite_is_counted(self):
        self.assertEqual(self.result_of("print('ok a\\n12 passed, 0 failed')"), ((12, 0, 0), None))
        script = "print('3 passed, 0 failed, 2 skipped')"
        self.assertEqual(self.result_of(script), ((3, 0, 2), None))

    def test_failures_are_counted_once(self):
        script = "print('5 passed, 2 failed'); raise SystemExit(1)"
        self.assertEqual(self.result_of(script), ((5, 2, 0), None))

    def test_a_crash_after_passing_tests_is_a_failure(self):
        self.assert_problem("without a sum", (0, 1, 0), "print('ok'); raise SystemExit(3)")

    def test_an_end_without_a_sum_is_a_failure(self):
        self.assert_problem("without a sum", (0, 1, 0), "print('all 3 passed, 0 failed, hooray')")

    def test_an_error_status_with_nothing_failed_is_a_failure(self):
        script = "print('5 passed, 0 failed'); raise SystemExit(1)"
        self.assert_problem("although no test failed", (5, 1, 0), script)

    def test_no_test_at_all_is_a_failure(self):
        self.assert_problem("ran no test", (0, 1, 0), "print('0 passed, 0 failed')")

    def test_a_suite_that_hangs_is_ended_and_is_a_failure(self):
        script = "import time; print('2 passed, 0 failed', flush=True); time.sleep(60)"
        self.assert_problem("did not end", (2, 1, 0), script, timeout_seconds=1)

    def test_a_missing_suite_is_a_failure(self):
        suite = run_all.Suite("gone", "release", "/no/such/suite.py", 1)
        count, problem = run_all.run_suite(suite, run_all.FailedLines())
        self.assertEqual(count.failed, 1)
        self.assertIn("is missing", problem)

    def test_the_report_of_ctest_is_read(self):
        with tempfile.TemporaryDirectory() as folder:
            report = pathlib.Path(folder) / "ctest.xml"
            report.write_text(REPORT, encoding="utf-8")
            named = run_all.FailedLines()
            count = run_all.count_junit(report, named)
            self.assertEqual((count.passed, count.failed, count.skipped), (2, 2, 2))
            self.assertEqual(list(named), ["c", "d"])
            report.write_text('<testsuite tests="0" failures="0"/>', encoding="utf-8")
            self.assertIsNone(run_all.count_junit(report, named))
            self.assertIsNone(run_all.count_junit(pathlib.Path(folder) / "none.xml", named))


if __name__ == "__main__":
    unittest.main()
