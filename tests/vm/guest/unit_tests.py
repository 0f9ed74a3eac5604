#!/usr/bin/env python3
"""Runs the unit tests of the folders that talk to the kernel, one program after the other.

Names of folders come as arguments (`sys` stands for airlock_sys_test). A program that is missing,
crashes or does not end counts as one failure. Only failures and the sums are printed.
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile

BUILD = pathlib.Path(os.environ["AIRLOCK_BUILD"])
PROGRAM_TIMEOUT_SECONDS = 120 * float(os.environ.get("AIRLOCK_TEST_SLOW", "1"))


def run(program, report):
    """Runs one program; returns (passed, failed, skipped, what to print)."""
    if not program.is_file():
        return 0, 1, 0, f"FAILED {program.name}: was not built"
    try:
        done = subprocess.run([program, f"--gtest_output=json:{report}", "--gtest_brief=1"],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              errors="replace", timeout=PROGRAM_TIMEOUT_SECONDS, check=False)
    except subprocess.TimeoutExpired as error:
        output = (error.stdout or b"").decode(errors="replace")
        return 0, 1, 0, f"{output}\nFAILED {program.name}: not over in {error.timeout:.0f} s"
    if not report.exists():
        return 0, 1, 0, f"{done.stdout}\nFAILED {program.name}: ended with {done.returncode}"
    tests = [test for suite in json.loads(report.read_text())["testsuites"]
             for test in suite["testsuite"]]
    ran = [test for test in tests if test["status"] == "RUN"]
    failed = sum("failures" in test for test in ran)
    skipped = sum(test.get("result") == "SKIPPED" for test in ran)
    output = done.stdout if failed or skipped else ""
    return len(ran) - failed - skipped, failed, skipped, output


def main(folders):
    sums = [0, 0, 0]
    with tempfile.TemporaryDirectory() as name:
        for folder in folders:
            program = BUILD / "tests" / f"airlock_{folder}_test"
            *counts, output = run(program, pathlib.Path(name, folder))
            if output:
                print(output)
            print(f"{program.name}: passed {counts[0]}, failed {counts[1]}, skipped {counts[2]}",
                  flush=True)
            sums = [total + count for total, count in zip(sums, counts)]
    passed, failed, skipped = sums
    print(f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""))
    return 1 if failed else 0


sys.exit(main(sys.argv[1:]))
