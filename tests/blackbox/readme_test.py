#!/usr/bin/env python3
"""That a reader of README.md finds what it runs, and sees what it shows.

    tests/blackbox/readme_test.py

AIRLOCK names the binary to test. Needs python3, g++, git and curl on the host.
"""

import os
import re
import shlex
import socket
import subprocess
import sys

import case
from case import Case
from support import airlock

# As in a shell that a person types into, but that it ends with the first command that fails.
BEGIN = "set -em\ntrap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n"


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


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
                 if re.search(r"\.\w+$", word) and "://" not in word
                 and word not in ("./a.out", "gpu_jobs_2023.csv")}
        self.assertGreater(len(named), 8)
        for name in named:
            self.assertTrue((self.EXAMPLES / name).is_file(), name)

    def test_what_it_shows_of_harmless_ones_is_what_they_print(self):
        for words, line in self.shown():
            if words in (["hello.py"], ["bad.cpp"]):
                done = subprocess.run(self.command("run", *words), cwd=self.EXAMPLES,
                                      capture_output=True, text=True, check=False)
                self.assertIn(line, (done.stdout + done.stderr).splitlines())

    def script(self, begin, end):
        """The commands between two texts of the README, as a person would type them."""
        text = (airlock.ROOT / "README.md").read_text(encoding="utf8")
        part = text[text.index(begin):text.index(end, text.index(begin))]
        commands = re.findall(r"^    \$ ((?:.*\\\n)*.*)$", part, re.MULTILINE)
        self.assertTrue(commands)
        return "\n".join(commands)

    def typed(self, script):
        """In a shell with jobs, as a person's is; nothing may fail."""
        service, server = free_port(), free_port()
        for shown, ours in (("/tmp/airlock-demo", str(self.folder)), (":8089", f":{service}"),
                            (":8000", f":{server}"), (" 8000", f" {server}")):
            script = script.replace(shown, ours)
        env = {**os.environ, "PATH": f"{self.command()[0].rpartition('/')[0]}:{os.environ['PATH']}"}
        done = subprocess.run(["bash", "-c", BEGIN + script], cwd=self.EXAMPLES, env=env,
                              capture_output=True, text=True, check=False, timeout=240)
        self.assertEqual(done.returncode, 0, script + done.stdout + done.stderr)
        return done

    def test_the_network_is_opened_as_shown(self):
        done = self.typed(self.script("No network, unless", "Thirteen languages"))
        self.assertRegex(done.stdout, r"hello\.py: \d+ bytes\n")
        self.assertIn("http://example.com/: HTTP Error 403: not in the allow-list", done.stdout)
        self.assertIn("airlock: refused: example.com:80: not in the allow-list (add --allow",
                      done.stderr)

    def test_a_job_runs_verifies_and_outlives_its_service_as_shown(self):
        done = self.typed(self.script("## Jobs", "Repositories come from"))
        self.assertIn("6,983 jobs in 34.5 days", done.stdout)
        self.assertIn("ok     outputs    2 files", done.stdout)
        self.assertEqual(len(re.findall(r"^job_\w+ +completed ", done.stdout, re.MULTILINE)), 2)


if __name__ == "__main__":
    sys.exit(case.run_tests(__name__))
