#!/usr/bin/env python3
"""The backends that are containers, on the real thing: dockerd and runsc.

    tests/backends/run.py [--only BACKEND]...     # gvisor docker docker+gvisor; default: all

For each: the tests of the native backend's protocol, the suites of the egress gateway and of jobs,
unchanged, and backend_test.py, fault_test.py and image_test.py with the service. What is left out
is named below. One dockerd of our own, with an image made here.
Needs root, runsc, dockerd, docker-registry and mmdebstrap. The last line is `N passed, N failed`.
"""

import argparse
import json
import os
import pathlib
import re
import stat
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from support import airlock, containers  # noqa: E402

BACKENDS = ("gvisor", "docker", "docker+gvisor")
SUM = re.compile(r"^(\d+) passed, (\d+) failed", re.MULTILINE)
SECONDS = 600 * airlock.SLOW
IMAGE = "airlock-base"

# Tests of the protocol that ask for what only a native sandbox has, each with the reason.
NATIVE_ONLY = {
    "*Terminal*": "a pty cannot be passed out of a container",
    "ParkedNativeTest.ADead*": "they look for init among our own processes",
    "*WithoutTheMountsFlag*": "a launcher with holes",
}
LESS = {
    "gvisor": {
        "*TheMemoryLimitOfAWorkspaceHoldsOverItsPhases": "48 MiB are a sentry's own",
        "ParkedNative.AProgramStartsWithNoSignalIgnored": "a sentry's /proc does not tell",
    },
    "docker": {
        "*TheMemoryLimitOfAWorkspaceHoldsOverItsPhases": "files of a job are on dockerd's disk",
    },
    "docker+gvisor": {
        "*TheMemoryLimitOfAWorkspaceHoldsOverItsPhases": "both of the above",
        "ParkedNative.AProgramStartsWithNoSignalIgnored": "a sentry's /proc does not tell",
    },
}
PROTOCOL = "NativeBackendTest.*:Durable*:ParkedNative*:RuntimeGrantsTest.*"
# A link carries 512 channels at once.
EGRESS_LESS = ("test_ten_thousand_connections",)
# Of the image: what jobs and the programs of the tests need.
PACKAGES = "python3,python3-pip,python3-venv,git,ca-certificates"
# Less what only a native sandbox has.
JOBS_ON = ("gvisor", "docker")
JOBS_LESS = (
    "test_another_contract_by_airlock_yaml",  # looks for the cache of builds
    "test_a_repository_may_want_less_of_a_core_than_it_was_given",  # by a sentry's own clock
    "test_after_the_seal_nothing_leads_out_and_what_was_open_is_dead",  # airlock-link's sockets
)


def write_gpu_hook(top):
    """The folder of a stand-in for NVIDIA's hook, which dockerd has run for containers with GPUs:
    what they are to get is one line of `seen`."""
    folder = pathlib.Path(top) / "nvidia"
    folder.mkdir(exist_ok=True)
    hook = folder / "nvidia-container-runtime-hook"
    hook.write_text(f"""#!{sys.executable}
import json, pathlib, sys
state = json.load(sys.stdin)
config = json.loads(pathlib.Path(state["bundle"], "config.json").read_text())
wanted = [word for word in config["process"]["env"] if word.startswith("NVIDIA_")]
with open("{folder}/seen", "a") as seen:
    seen.write(" ".join(sorted(set(wanted))) + "\\n")
""")
    hook.chmod(0o755)
    return folder


class Docker(containers.DockerDaemon):
    """With the runtimes runsc and NVIDIA's, and one image."""

    def __init__(self, top):
        config = pathlib.Path(top) / "daemon.json"
        runtime = {"path": "/usr/bin/runsc",
                   "runtimeArgs": ["--platform=ptrace", "--network=none"]}
        config.write_text(json.dumps({"runtimes": {"runsc": runtime}}))
        self.options = ["--config-file", str(config)]
        self.environment = {"PATH": f"{write_gpu_hook(top)}:{os.environ['PATH']}"}
        super().__init__(top)

    def _prepare(self):
        archive = str(containers.root_archive(PACKAGES))
        code, said = self._docker("import", archive, IMAGE, seconds=120)
        if code != 0:
            raise RuntimeError(said)


def stream(command, environment):
    """(passed, failed) of a suite whose lines are passed on."""
    process = subprocess.run(command, env={**os.environ, **environment}, cwd=airlock.ROOT,
                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT, text=True, timeout=SECONDS, check=False)
    sys.stdout.write(process.stdout)
    found = SUM.findall(process.stdout)
    passed, failed = map(int, found[-1]) if found else (0, 0)
    if not failed and (process.returncode != 0 or not found):
        print(f"FAIL: {command[-1]} ended with status {process.returncode}, "
              f"{'although no test failed' if found else 'without a sum'}")
        failed = 1
    return passed, failed


def write_launcher(top, backend, socket):
    """The tests start a launcher by its path alone."""
    path = pathlib.Path(top) / f"launcher-{backend}"
    broker = airlock.binary().parent / "airlock-broker"
    path.write_text(f"#!/bin/sh\nexec {broker} --backend {backend} --docker-socket {socket} "
                    f'--docker-image {IMAGE} "$@"\n')
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def run_protocol(top, backend, socket):
    left_out = [*NATIVE_ONLY, *LESS[backend]]
    program = airlock.ROOT / "build/release/tests/airlock_backend_native_test"
    environment = {"AIRLOCK_TEST_LAUNCHER": str(write_launcher(top, backend, socket)),
                   "AIRLOCK_TEST_BACKEND": backend,
                   "AIRLOCK_TEST_GPU_HOOK": str(pathlib.Path(top) / "nvidia" / "seen")}
    process = subprocess.run(
        [program, f"--gtest_filter={PROTOCOL}-{':'.join(left_out)}"],
        env={**os.environ, **environment}, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, timeout=SECONDS, check=False)
    passed = len(re.findall(r"^\[       OK \]", process.stdout, re.MULTILINE))
    failed = len(set(re.findall(r"^\[  FAILED  \] (\S+) \(", process.stdout, re.MULTILINE)))
    if failed or process.returncode != 0:
        sys.stdout.write(process.stdout)
    if not failed and process.returncode != 0:
        print(f"FAIL: {backend} protocol: ended with status {process.returncode}")
        failed = 1
    return passed, failed


def run_backend(top, backend, socket):
    environment = {"AIRLOCK_EXECUTION_MODE": backend, "AIRLOCK_EXECUTION_DOCKER_SOCKET": socket,
                   "AIRLOCK_EXECUTION_DOCKER_IMAGE": IMAGE,
                   "AIRLOCK_EXECUTION_FALLBACK_ON_ERROR": "false"}
    python = sys.executable
    skip = {"AIRLOCK_TEST_LEAVE_OUT": " ".join(EGRESS_LESS)}
    parts = {
        "protocol": lambda: run_protocol(top, backend, socket),
        "egress": lambda: stream([python, airlock.ROOT / "tests/blackbox/egress_test.py"],
                                 {**environment, **skip}),
        "service": lambda: stream([python, HERE / "backend_test.py"], environment),
        "faults": lambda: stream([python, HERE / "fault_test.py"], environment),
        "images": lambda: stream([python, HERE / "image_test.py"], environment),
    }
    if backend in JOBS_ON:
        parts["jobs"] = lambda: stream(
            [python, airlock.ROOT / "tests/blackbox/jobs_test.py"],
            {**environment, "AIRLOCK_TEST_LEAVE_OUT": " ".join(JOBS_LESS)})
    total = [0, 0]
    for name, run in parts.items():
        print(f"--- {backend}/{name}", flush=True)
        try:
            passed, failed = run()
        except subprocess.TimeoutExpired:
            print(f"FAIL: {backend} {name}: not ended after {SECONDS:.0f} s")
            passed, failed = 0, 1
        print(f"{backend} {name}: {passed} passed, {failed} failed", flush=True)
        total[0] += passed
        total[1] += failed
    return total


def main():
    parser = argparse.ArgumentParser(description="The backends that are containers.")
    parser.add_argument("--only", action="append", choices=BACKENDS)
    arguments = parser.parse_args()
    passed, failed = 0, 0
    with containers.work_folder() as top:
        docker = Docker(top)
        try:
            for backend in arguments.only or BACKENDS:
                socket = docker.socket.removeprefix("unix://")
                more = run_backend(top, backend, socket)
                passed += more[0]
                failed += more[1]
            _, left = docker._docker("ps", "--all", "--quiet")
            # Volumes of a keeper that a test has killed stay until its slot is used again.
            if left.strip():
                print(f"FAIL: left in dockerd: containers {left!r}")
                failed += 1
            else:
                passed += 1
        finally:
            docker.close()
    print(f"{passed} passed, {failed} failed")
    return 0 if passed and not failed else 1


if __name__ == "__main__":
    sys.exit(main())
