#!/usr/bin/env python3
"""Checks, on a kernel with core scheduling and SMT, that every sandbox has a cookie of its own.

Tasks whose cookies differ never run at the same time on the two threads of a core. The control is a
process outside of every sandbox: it has none.
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

import kernel_calls

AIRLOCK = os.environ["AIRLOCK"]
DEADLINE_SECONDS = 10 * float(os.environ.get("AIRLOCK_TEST_SLOW", "1"))
GUEST_SECONDS = "4242"
GUEST_ARGUMENT = f"\0{GUEST_SECONDS}\0".encode()


def guests():
    """Pids, as this machine counts them, of the programs that run in sandboxes."""
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                command = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if command.endswith(GUEST_ARGUMENT) and b"airlock" not in command:
                found.append(int(entry.name))
    return found


def machine_has_smt():
    assert pathlib.Path("/sys/devices/system/cpu/smt/active").read_text().strip() == "1"


def control_has_no_cookie():
    assert kernel_calls.core_scheduling_cookie() == 0


def sandboxes_have_cookies_of_their_own():
    runs = [subprocess.Popen([AIRLOCK, "run", "--timeout", "300s", "/usr/bin/sleep", "--",
                              GUEST_SECONDS], stdin=subprocess.DEVNULL) for _ in range(2)]
    try:
        deadline = time.monotonic() + DEADLINE_SECONDS
        while len(found := guests()) < 2:
            assert time.monotonic() < deadline, f"only {len(found)} guests came up"
            time.sleep(0.05)
        cookies = [kernel_calls.core_scheduling_cookie(pid) for pid in found]
        assert 0 not in cookies and len(set(cookies)) == 2, f"cookies {cookies}"
    finally:
        for run in runs:
            run.terminate()
        for run in runs:
            run.wait(DEADLINE_SECONDS)


def result_does_not_miss_it():
    with tempfile.NamedTemporaryFile("w", suffix=".py") as program:
        program.write("print('here')\n")
        program.flush()
        done = subprocess.run([AIRLOCK, "run", "--json", program.name], capture_output=True,
                              timeout=DEADLINE_SECONDS, check=False)
    missing = json.loads(done.stdout)["isolation"]["missing"]
    assert "core_scheduling" not in missing, missing


def main():
    passed = failed = 0
    for check in (machine_has_smt, control_has_no_cookie, sandboxes_have_cookies_of_their_own,
                  result_does_not_miss_it):
        try:
            check()
        except (AssertionError, OSError, ValueError, subprocess.SubprocessError) as error:
            failed += 1
            print(f"FAILED {check.__name__}: {error}")
            continue
        passed += 1
        print(f"ok {check.__name__}")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


sys.exit(main())
