"""The backend that run.py has named, and what of it is to be seen from outside."""

import os
import pathlib
import subprocess
import time

MODE = os.environ["AIRLOCK_EXECUTION_MODE"]
SOCKET = os.environ["AIRLOCK_EXECUTION_DOCKER_SOCKET"]
HAS_DOCKER = "docker" in MODE
LEVEL = "kernel" if "gvisor" in MODE else "container"


def docker(*words):
    return subprocess.run(["docker", "-H", f"unix://{SOCKET}", *words], capture_output=True,
                          text=True, timeout=60, check=False).stdout.strip()


def containers():
    return docker("ps", "--all", "--quiet", "--filter", "label=airlock.owner").split()


def groups():
    found = pathlib.Path("/sys/fs/cgroup").glob(f"*/airlock-{MODE}/s*")
    return sorted(str(path) for path in found)


def running(words):
    return subprocess.run(["pgrep", "--full", f"^{words}$"], capture_output=True,
                          check=False).returncode == 0


def comes_true(condition, seconds=20):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if condition():
            return True
        time.sleep(0.1)
    return False
