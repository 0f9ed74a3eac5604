#!/usr/bin/env python3
"""What `airlock serve` tells of where the time of a run went.

    tests/blackbox/serve_timing_test.py
"""

import re
import sys
import time
import unittest

import case
from service import Service

STEP = re.compile(r"(\w+);dur=(\d+\.\d{3})(?:, |$)")


class Timings(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.service = cls.enterClassContext(Service())

    def steps_of(self, **request):
        """[(name, milliseconds)] in their order, and how long the client waited."""
        began = time.monotonic()
        status, headers, body = self.service.ask("POST", "/v1/run", request)
        took_ms = (time.monotonic() - began) * 1000
        self.assertEqual(status, 200, body)
        return [(name, float(ms)) for name, ms in STEP.findall(headers["Server-Timing"])], took_ms

    def test_steps_follow_one_another_and_are_no_longer_than_the_client_waited(self):
        steps, took_ms = self.steps_of(argv=["sleep", "0.05"])
        self.assertEqual([name for name, _ in steps],
                         ["parse", "wait", "sandbox", "start", "program", "report", "close",
                          "answer"])
        self.assertGreaterEqual(dict(steps)["program"], 50)
        self.assertLessEqual(sum(ms for _, ms in steps), took_ms)

    def test_a_compiler_and_outputs_have_steps_of_their_own(self):
        steps, _ = self.steps_of(language="c", code="int main(){}", outputs=["*"])
        self.assertEqual([name for name, _ in steps],
                         ["parse", "wait", "sandbox", "compile", "start", "program", "report",
                          "collect", "close", "answer"])

    def test_what_never_ran_has_none(self):
        status, headers, _ = self.service.ask("POST", "/v1/run", {"argv": []})
        self.assertEqual(status, 400)
        self.assertIsNone(headers["Server-Timing"])


if __name__ == "__main__":
    sys.exit(case.run_tests(__name__))
