#!/usr/bin/env python3
"""That a reader of README.md finds what it runs, and sees what it shows.

    tests/blackbox/readme_test.py

AIRLOCK names the binary to test. Needs python3 and g++ on the host.
"""

import re
import shlex
import subprocess
import sys

import case
from case import Case
from support import airlock


class Readme(Case):
    EXAMPLES = airlock.ROOT / "examples"

    def shown(self):
        """[(words of the command, first line of its output)] of what the README runs."""
        text = (airlock.ROOT / "README.md").read_text(encoding="utf8")
        for command, line in re.findall(r"^    \$ airlock run ([^\n|]*)\n(?:    (.*))?", text,
                                        re.MULTILINE):
            yield shlex.split(command), line

    def test_its_programs_and_their_inputs_are_there(self):
        named = {word for words, _ in self.shown() for word in words
                 if re.search(r"\.\w+$", word) and word not in ("./a.out", "gpu_jobs_2023.csv")}
        self.assertGreater(len(named), 8)
        for name in named:
            self.assertTrue((self.EXAMPLES / name).is_file(), name)

    def test_what_it_shows_of_harmless_ones_is_what_they_print(self):
        for words, line in self.shown():
            if words in (["hello.py"], ["bad.cpp"]):
                done = subprocess.run(self.command("run", *words), cwd=self.EXAMPLES,
                                      capture_output=True, text=True, check=False)
                self.assertIn(line, (done.stdout + done.stderr).splitlines())


if __name__ == "__main__":
    sys.exit(case.run_tests(__name__))
