"""What the suites of the verbs that ask a service have in common: a service of the tests' own that
says what a test wants, and ways to ask it."""

import json
import os

import case

from support.fake_runner import JOB, FakeRunner

NO, USAGE, GOES_ON, TIMEOUT, FAILED, CANCELLED = 1, 2, 3, 120, 125, 130
REPOSITORY = "https://github.com/example/solver"
SLOW = case.SLOW


class Client(case.Case):
    def setUp(self):
        super().setUp()
        self.runner = FakeRunner().__enter__()
        self.addCleanup(lambda: self.runner.__exit__())

    def environment(self, **more):
        kept = {name: value for name, value in os.environ.items()
                if not name.startswith(("AIRLOCK_SERVER", "AIRLOCK_API", "AIRLOCK_LISTEN"))}
        return {**kept, "AIRLOCK_SERVER": self.runner.url, **more}

    def ask(self, *words, expect=0, env=None):
        """(stdout, stderr) of a verb."""
        done = self.airlock(*words, env=env or self.environment())
        self.assertEqual(done.returncode, expect, (words, done.stdout, done.stderr))
        return done.stdout.decode(), done.stderr.decode()

    def submitted(self, *words, **how):
        """The request that a submission made."""
        out, _ = self.ask("submit", *words, **how)
        self.assertEqual(out, JOB + "\n")
        return json.loads(self.runner.requests("POST")[-1][3])
