#!/usr/bin/env python3
"""Runs the chosen suites inside the test machine and reports to the host over two virtio ports.

Port `log` carries what the suites print, as it comes. Port `results` carries one JSON object per
line, so nothing that a suite prints can be taken for a verdict. After each suite the machine is
compared with what it was before: a process, mount, cgroup or loop device left behind is a failure.
"""

import contextlib
import json
import os
import pathlib
import pwd
import re
import signal
import subprocess
import sys
import time
import traceback

PAYLOAD = pathlib.Path("/payload")
ORDER = json.loads((PAYLOAD / "order.json").read_text())
# The payload also appears where the repository is on the host: built programs know that path.
REPOSITORY = pathlib.Path((PAYLOAD / "root-path").read_text())
CGROUP = pathlib.Path("/sys/fs/cgroup")
SUITE_CGROUP = {"system": CGROUP / "system.slice/suite.service",
                "delegated": CGROUP / "user.slice/user-1000.slice/user@1000.service/suite.scope"}
VERDICT = re.compile(rb"^(\d+) passed, (\d+) failed(?:, (\d+) skipped)?$")
# Clean-up after a run may still be under way when its suite has ended.
SETTLE_SECONDS = 5 * ORDER["slow"]

sys.path.insert(0, str(PAYLOAD / "tests" / "vm"))
from suites import Suite  # noqa: E402 (the path is known only here)


def open_port(name):
    for port in pathlib.Path("/sys/class/virtio-ports").iterdir():
        if (port / "name").read_text().strip() == name:
            return open(f"/dev/{port.name}", "wb", buffering=0)
    raise RuntimeError(f"the machine has no virtio port called {name}")


def user_processes():
    """Pid and command of every process that is not a kernel thread."""
    found = set()
    for entry in pathlib.Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            text = (entry / "stat").read_text()
        except OSError:
            continue
        flags = int(text.rpartition(")")[2].split()[6])
        is_kernel_thread = flags & 0x00200000  # PF_KTHREAD of the kernel's linux/sched.h
        if not is_kernel_thread:
            found.add(f"process {entry.name} {text.partition('(')[2].rpartition(')')[0]}")
    return found


def loop_devices():
    found = set()
    for backing in pathlib.Path("/sys/block").glob("loop*/loop/backing_file"):
        try:
            found.add(f"loop device on {backing.read_text().strip()}")
        except OSError:
            continue
    return found


def machine_state():
    mounts = pathlib.Path("/proc/self/mountinfo").read_text().splitlines()
    state = {"mount " + line.split()[4] for line in mounts}
    # The parent of the sandboxes' cgroups may stay; a sandbox's own cgroup may not.
    state |= {f"cgroup {path}" for path, _, _ in os.walk(CGROUP) if not path.endswith("/airlock")}
    return state | user_processes() | loop_devices()


def left_behind(before):
    deadline = time.monotonic() + SETTLE_SECONDS
    while True:
        left = sorted(machine_state() - before)
        if not left or time.monotonic() > deadline:
            return left
        time.sleep(0.2)


def environment(user):
    account = pwd.getpwnam(user)
    env = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
           "LANG": "C.UTF-8", "HOME": account.pw_dir, "USER": user, "LOGNAME": user,
           "SHELL": "/bin/bash", "PYTHONDONTWRITEBYTECODE": "1", "PYTHONUNBUFFERED": "1",
           "AIRLOCK_TEST_SLOW": str(ORDER["slow"]), "AIRLOCK_TEST_MACHINE": "1",
           "AIRLOCK": ORDER["build"] + "/bin/airlock", "AIRLOCK_BUILD": ORDER["build"]}
    if user != "root":
        env["XDG_RUNTIME_DIR"] = f"/run/user/{account.pw_uid}"
    return env


def start(suite):
    account = pwd.getpwnam(suite.user)
    cgroup = SUITE_CGROUP[suite.cgroup] / "cgroup.procs"

    def enter_cgroup():
        cgroup.write_text("0")
        os.setgid(account.pw_gid)
        os.initgroups(suite.user, account.pw_gid)
        os.setuid(account.pw_uid)

    return subprocess.Popen(suite.argv, cwd=REPOSITORY, env=environment(suite.user),
                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, preexec_fn=enter_cgroup,
                            start_new_session=True)


def run(suite, log):
    """Runs one suite to its end and returns its report."""
    before = machine_state()
    began = time.monotonic()
    child = start(suite)
    timed_out = []

    def end_suite(_signal, _frame):
        timed_out.append(True)
        # What the suite put into cgroups of its own holds its output open as well.
        for path, _, _ in os.walk(CGROUP):
            if f"cgroup {path}" not in before or path == str(SUITE_CGROUP[suite.cgroup]):
                with contextlib.suppress(OSError):  # gone meanwhile
                    pathlib.Path(path, "cgroup.kill").write_text("1")

    signal.signal(signal.SIGALRM, end_suite)
    signal.alarm(suite.timeout_seconds)
    passed = failed = skipped = None
    for line in child.stdout:
        log.write(line)
        verdict = VERDICT.match(line.strip())
        if verdict:
            passed, failed, skipped = (int(number or 0) for number in verdict.groups())
    status = child.wait()
    signal.alarm(0)
    return {"suite": suite.name, "passed": passed, "failed": failed, "skipped": skipped,
            "status": status, "timed_out": bool(timed_out), "left": left_behind(before),
            "seconds": round(time.monotonic() - began, 1)}


def main():
    log, results = open_port("log"), open_port("results")

    def report(record):
        results.write(json.dumps(record).encode() + b"\n")

    try:
        for suite in (Suite(**described) for described in ORDER["suites"]):
            log.write(f"--- {suite.name} (as {suite.user}, {suite.cgroup} cgroup)\n".encode())
            report(run(suite, log))
        report({"done": True})
    except Exception:  # the host must hear of it: nobody else is there to see a trace
        report({"error": traceback.format_exc()})


main()
