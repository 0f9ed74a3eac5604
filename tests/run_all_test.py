#!/usr/bin/env python3
"""Shows that the sum of all suites believes no suite that did not end well."""

import contextlib
import io
import pathlib
import tempfile
import unittest

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


class RunSuiteTest(unittest.TestCase):
    def result_of(self, script, timeout_seconds=60):
        """(passed, failed, skipped) and the problem of a suite that is this Python text."""
        with tempfile.TemporaryDirectory() as folder:
            program = pathlib.Path(folder) / "run.py"
            program.write_text(script, encoding="utf-8")
            suite = run_all.Suite("sample", "release", str(program), timeout_seconds)
            with contextlib.redirect_stdout(io.StringIO()):
                count, problem = run_all.run_suite(suite)
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
        count, problem = run_all.run_suite(suite)
        self.assertEqual(count.failed, 1)
        self.assertIn("is missing", problem)

    def test_the_report_of_ctest_is_read(self):
        with tempfile.TemporaryDirectory() as folder:
            report = pathlib.Path(folder) / "ctest.xml"
            report.write_text(REPORT, encoding="utf-8")
            count = run_all.count_junit(report)
            self.assertEqual((count.passed, count.failed, count.skipped), (2, 2, 2))
            report.write_text('<testsuite tests="0" failures="0"/>', encoding="utf-8")
            self.assertIsNone(run_all.count_junit(report))
            self.assertIsNone(run_all.count_junit(pathlib.Path(folder) / "none.xml"))


if __name__ == "__main__":
    unittest.main()
