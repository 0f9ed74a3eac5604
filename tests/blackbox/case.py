"""What the suites of `airlock run` have in common: a folder for each test, and ways to start it."""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from support import airlock  # noqa: E402

SLOW = float(os.environ.get("AIRLOCK_TEST_SLOW", "1"))


class Case(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="cli-test-"))
        self.folder.chmod(0o755)
        self.addCleanup(shutil.rmtree, self.folder)

    def write(self, name, content):
        path = self.folder / name
        path.write_text(content, encoding="utf8")
        return path

    def command(self, *words):
        return [str(airlock.binary()), *map(str, words)]

    def airlock(self, *words, stdin=b"", **options):
        return subprocess.run(self.command(*words), input=stdin, capture_output=True,
                              cwd=self.folder, timeout=60 * SLOW, check=False, **options)

    def run_python(self, text, *options, args=(), stdin=b""):
        words = ["run", *options, self.write("prog.py", text)]
        if args:
            words += ["--", *args]
        return self.airlock(*words, stdin=stdin)

    def result_of(self, text, *options, **how):
        done = self.run_python(text, "--json", *options, **how)
        return done, json.loads(done.stdout)

    def assert_refused(self, done, *parts):
        """A usage error that says all of `parts`, on stderr only."""
        self.assertEqual(done.returncode, airlock.USAGE_ERROR, done.stderr)
        self.assertEqual(done.stdout, b"")
        for part in parts:
            self.assertIn(part, done.stderr.decode())


def without(suite, names):
    """A suite less the tests of those names."""
    kept = unittest.TestSuite()
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            kept.addTest(without(test, names))
        elif test.id().rsplit(".", 1)[-1] not in names:
            kept.addTest(test)
    return kept


def run_tests(module):
    """Runs the tests of a module, or those that are named (CLASS.TEST), one line each; the exit
    status. What $AIRLOCK_TEST_LEAVE_OUT names is left out: by a suite that runs them on something
    else, and says why."""
    found, names = sys.modules[module], sys.argv[1:]
    loader = unittest.defaultTestLoader
    suite = (loader.loadTestsFromNames(names, found) if names
             else loader.loadTestsFromModule(found))
    suite = without(suite, os.environ.get("AIRLOCK_TEST_LEAVE_OUT", "").split())
    result = unittest.TextTestRunner(stream=sys.stdout, verbosity=2).run(suite)
    failed = len({str(test) for test, _ in result.failures + result.errors})
    # What fails around the tests of a class is no test that ran.
    print(f"{max(0, result.testsRun - failed)} passed, {failed} failed")
    return 1 if failed else 0
