#!/usr/bin/env python3
"""Runs every tests/blackbox/*_test.py, one process each, and adds up their sums.

    tests/blackbox/run.py [NAME...]     # run_cli doctor ...; default: all

Every suite prints one line per test and `N passed, N failed` at its end; so does this.
"""

import pathlib
import re
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
SUM_LINE = re.compile(r"^(\d+) passed, (\d+) failed$")
SUITE_SECONDS_MAX = 600


def run_suite(path):
    """(passed, failed) of one suite; a suite without a sum is one failed."""
    print(f"--- {path.stem}", flush=True)
    started = time.monotonic()
    try:
        done = subprocess.run([sys.executable, str(path)], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              errors="replace", timeout=SUITE_SECONDS_MAX, check=False)
    except subprocess.TimeoutExpired as hung:
        print((hung.stdout or b"").decode("utf8", "replace"))
        print(f"FAILED {path.stem}: did not end within {SUITE_SECONDS_MAX} s")
        return 0, 1
    print(done.stdout, end="", flush=True)
    print(f"{path.stem}: {time.monotonic() - started:.0f} s", flush=True)
    lines = done.stdout.strip().splitlines()
    match = SUM_LINE.match(lines[-1]) if lines else None
    if match is None:
        print(f"FAILED {path.stem}: ended with status {done.returncode} and without a sum")
        return 0, 1
    return int(match[1]), int(match[2])


def main():
    suites = sorted(HERE.glob("*_test.py"))
    names = sys.argv[1:]
    unknown = [name for name in names if not (HERE / f"{name}_test.py").is_file()]
    if unknown:
        known = ", ".join(path.stem.removesuffix("_test") for path in suites)
        print(f"there is no suite {', '.join(unknown)}; there are: {known}", file=sys.stderr)
        return 2
    chosen = [path for path in suites if not names or path.stem.removesuffix("_test") in names]
    sums = [run_suite(path) for path in chosen]
    passed, failed = sum(p for p, _ in sums), sum(f for _, f in sums)
    print(f"{passed} passed, {failed} failed")
    return 0 if failed == 0 and passed > 0 else 1


if __name__ == "__main__":
    sys.exit(main())
