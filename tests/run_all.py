#!/usr/bin/env python3
"""Runs the test suites one after the other and adds up what they say.

    tests/run_all.py [--build] [--only SUITE]... [--list] [--no-skips]

The programs must be built already, or are with `--build`: what the first suite needs before it, the
rest from what the suites leave idle of the processors. The last line is `N passed, N failed`,
with `, N skipped` if there are any; the exit status is 0 exactly when at least one test passed and
none failed. A suite that is missing, crashes, hangs past its limit or prints no sum is one failed.
Above the sum stands one line for each test that failed, so that the end of a log is enough.
"""

import argparse
import contextlib
import dataclasses
import os
import pathlib
import re
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree

ROOT = pathlib.Path(__file__).resolve().parent.parent
SUM_LINE = re.compile(r"^(\d+) passed, (\d+) failed(?:, (\d+) skipped)?$")
JOBS = str(os.cpu_count() or 1)
# How the suites name a test that failed: those with a runner of their own and unittest, then
# GoogleTest in the test machine. The sums that both print alike are no names.
FAILED_LINE = re.compile(r"(?:FAIL(?:ED)?(?::| (?!\())|ERROR: |\[  FAILED  \] (?!\d+ tests?, ))")
GTEST_DURATION = re.compile(r" \(\d+ ms\)$")
PART_LINE = re.compile(r"--- (\S+)")  # what runs suites of suites says before each of them
BUILD_SECONDS_MAX = 3600
LEAST_NICENESS = "19"
FAILED_LINES_MAX = 50
FAILED_LINE_LENGTH_MAX = 300


@dataclasses.dataclass
class Count:
    passed: int = 0
    failed: int = 0
    skipped: int = 0

    def __str__(self):
        text = f"{self.passed} passed, {self.failed} failed"
        return text + (f", {self.skipped} skipped" if self.skipped else "")


@dataclasses.dataclass(frozen=True)
class Suite:
    name: str
    preset: str           # what has to be built for it
    program: str | None   # None: the ctest of the preset
    timeout_seconds: int

    def command(self):
        if self.program:
            return [sys.executable, str(ROOT / self.program)]
        return ["ctest", "--preset", self.preset, "-j", JOBS, "--output-junit", str(self.junit())]

    def junit(self):
        return ROOT / "build" / self.preset / "ctest.xml"


SUITES = (
    Suite("unit", "release", None, 1200),
    Suite("blackbox", "release", "tests/blackbox/run.py", 1800),
    Suite("artifact", "release", "tests/artifact/run.py", 600),
    Suite("languages", "release", "tests/languages/run.py", 900),
    Suite("security", "release", "tests/security/run.py", 1200),
    Suite("tiers", "release", "tests/security/tiers.py", 1500),
    Suite("backends", "release", "tests/backends/run.py", 1500),
    Suite("deploy", "release", "tests/deploy/run.py", 1500),
    Suite("vm", "release", "tests/vm/run.py", 2700),
    # Last, so that they are built meanwhile.
    Suite("unit-asan", "asan", None, 1800),
    Suite("fuzz", "fuzz", None, 900),
)


def parse_arguments():
    parser = argparse.ArgumentParser(description="Run the test suites and add up their results.")
    parser.add_argument("--only", action="append", metavar="SUITE", help="this suite; repeatable")
    parser.add_argument("--list", action="store_true", help="print the suites and end")
    parser.add_argument("--build", action="store_true", help="build what the suites need")
    parser.add_argument("--no-skips", action="store_true", help="a skipped test is a failed one")
    arguments = parser.parse_args()
    known = [suite.name for suite in SUITES]
    for name in arguments.only or []:
        if name not in known:
            parser.error(f"there is no suite {name!r}; there are: {', '.join(known)}")
    return arguments


class FailedLines:
    """The lines of a suite's output that name a failed test: each once, shortened, not too many."""

    def __init__(self):
        self.part = ""
        self.names = {}  # a set that keeps its order
        self.left_out = 0

    def see(self, line):
        if part := PART_LINE.match(line):
            self.part = f"{part[1]}: "
        elif FAILED_LINE.match(line):
            self.add(self.part + GTEST_DURATION.sub("", line))

    def add(self, name):
        name = name[:FAILED_LINE_LENGTH_MAX]
        if len(self.names) < FAILED_LINES_MAX:
            self.names[name] = None
        elif name not in self.names:
            self.left_out += 1

    def __iter__(self):
        yield from self.names
        if self.left_out:
            yield f"and {self.left_out} more"


def kill_group(process):
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def run_streamed(command, timeout_seconds, failed_lines):
    """Passes output through as it comes; gives (exit status or None for a timeout, last lines)."""
    def on_alarm(*_):
        raise TimeoutError

    last_lines = []
    process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, start_new_session=True)
    signal.signal(signal.SIGALRM, on_alarm)
    signal.alarm(timeout_seconds)
    try:
        for raw in process.stdout:
            line = raw.decode("utf-8", "replace").rstrip("\n")
            print(line, flush=True)
            last_lines = (last_lines + [line])[-20:]
            failed_lines.see(line)
        return process.wait(), last_lines
    except TimeoutError:
        # Something that left the group may hold the pipe open, so its end is not waited for.
        return None, last_lines
    finally:
        signal.alarm(0)
        kill_group(process)
        process.stdout.close()
        process.wait()


class Builds:
    """Builds presets: the first one at once, all others behind the suites, until its `with` ends.

    Those others get only what nobody else wants of the processors: many suites are about time, and
    most of them wait most of theirs. SCHED_IDLE says so within a session, and the session's own
    niceness beside those of the suites, where the kernel has sessions share alike (autogroup).
    """

    def __init__(self, presets, command=("./dev", "build")):
        self.first, self.others = presets[:1], presets[1:]
        self.command = command
        self.behind = None
        self.first_status = 0

    def __enter__(self):
        if self.first:
            self.first_status = subprocess.run([*self.command, *self.first], cwd=ROOT, check=False,
                                               stdin=subprocess.DEVNULL).returncode
        if self.first_status == 0 and self.others:
            self.behind = subprocess.Popen(
                ["chrt", "--idle", "0", *self.command, *self.others], cwd=ROOT,
                stdin=subprocess.DEVNULL, start_new_session=True)
            with contextlib.suppress(OSError):
                pathlib.Path(f"/proc/{self.behind.pid}/autogroup").write_text(LEAST_NICENESS)
        return self

    def __exit__(self, *_):
        if self.behind:
            kill_group(self.behind)
            self.behind.wait()

    def problem_with(self, preset):
        """Why a suite of this preset cannot run, or None; waits for what is being built."""
        status = self.first_status
        if self.behind and preset in self.others:
            try:
                status = self.behind.wait(BUILD_SECONDS_MAX)
            except subprocess.TimeoutExpired:
                return f"{preset} was not built within {BUILD_SECONDS_MAX} s"
        return None if status == 0 else "what it needs could not be built"


def count_junit(path, failed_lines):
    """The sum of a ctest run; None if it left no report.

    What ctest could not start (its program is not built) is `skipped` to ctest and failed to us.
    """
    try:
        root = xml.etree.ElementTree.parse(path).getroot()
    except (OSError, xml.etree.ElementTree.ParseError):
        return None
    count = Count()
    for case in root.iter("testcase"):
        reason = case.find("skipped")
        if case.get("status") == "run":
            count.passed += 1
        elif case.get("status") == "disabled" or (
                reason is not None and reason.get("message", "").startswith("SKIP_")):
            count.skipped += 1
        else:
            count.failed += 1
            failed_lines.add(case.get("name", "a test without a name"))
    return count if root.find("testcase") is not None else None


def count_sum_line(lines):
    for line in reversed(lines):
        match = SUM_LINE.match(line.strip())
        if match:
            return Count(*(int(number or 0) for number in match.groups()))
    return None


def run_suite(suite, failed_lines):
    """The suite's count, and why it is not to be trusted if it is not."""
    if suite.program and not (ROOT / suite.program).is_file():
        return Count(failed=1), f"{suite.program} is missing"
    if not suite.program:
        suite.junit().unlink(missing_ok=True)
    status, lines = run_streamed(suite.command(), suite.timeout_seconds, failed_lines)
    count = count_sum_line(lines) if suite.program else count_junit(suite.junit(), failed_lines)
    if status is None:
        count, problem = count or Count(), f"did not end within {suite.timeout_seconds} s"
    elif count is None:
        count, problem = Count(), f"ended with status {status} and without a sum"
    elif status != 0 and count.failed == 0:
        problem = f"ended with status {status} although no test failed"
    elif count.passed + count.failed + count.skipped == 0:
        problem = "ran no test"
    else:
        return count, None
    count.failed += 1
    return count, problem


def main():
    arguments = parse_arguments()
    chosen = [suite for suite in SUITES if not arguments.only or suite.name in arguments.only]
    if arguments.list:
        print("\n".join(suite.name for suite in chosen))
        return 0
    total, summary, named = Count(), [], []
    presets = list(dict.fromkeys(suite.preset for suite in chosen)) if arguments.build else []
    with Builds(presets) as builds:
        for suite in chosen:
            print(f"\n=== {suite.name}", flush=True)
            started = time.monotonic()
            failed_lines = FailedLines()
            problem = builds.problem_with(suite.preset)
            waited = time.monotonic() - started
            count = Count(failed=1)
            if not problem:
                count, problem = run_suite(suite, failed_lines)
            if problem:
                failed_lines.add(problem)
            named += [f"{suite.name}: {line}" for line in failed_lines]
            total.passed += count.passed
            total.failed += count.failed
            total.skipped += count.skipped
            seconds = time.monotonic() - started
            summary.append(f"{suite.name:<12} {seconds:6.0f} s  {count}"
                           + (f"  ({waited:.0f} s of them for its build)" if waited >= 1 else "")
                           + (f"  ({problem})" if problem else ""))
    print("\n=== all suites\n" + "\n".join(summary))
    if arguments.no_skips and total.skipped:
        print(f"{total.skipped} skipped tests count as failed here")
        total.failed, total.skipped = total.failed + total.skipped, 0
    if named:
        print("\n=== what failed\n" + "\n".join(named))
    print(total)
    return 0 if total.failed == 0 and total.passed > 0 else 1


if __name__ == "__main__":
    sys.exit(main())
