#!/usr/bin/env python3
"""The tiers of hosts that are containers, on the real thing: gVisor and Docker.

    tests/security/tiers.py [--only CASE]... [--list]

Each case starts a container and runs tiers_inside.py in it, which drives `airlock run` and
`airlock serve`, the probes, and attacks on the daemon. Needs root, runsc, dockerd and mmdebstrap; a
case whose program is missing is skipped. The last line is `N passed, N failed, N skipped`.
"""

import argparse
import concurrent.futures
import contextlib
import dataclasses
import json
import os
import pathlib
import shutil
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

from support import airlock, containers  # noqa: E402

SECONDS = 800 * airlock.SLOW
INSIDE = f"{containers.TESTS}/security/tiers_inside.py"
# What a careful operator gives a container; /tmp has to be one that programs can be started in.
HARDENED = (
    "--cap-drop", "ALL", "--user", "1000:1000", "--read-only", "--tmpfs", "/tmp:exec", "--tmpfs",
    "/workspace:exec", "--security-opt", "no-new-privileges",
)
OPEN = ("--security-opt", "seccomp=unconfined", "--security-opt", "systempaths=unconfined",
        "--security-opt", "apparmor=unconfined")
# Namespaces and Landlock, as filters refuse them that do not know it yet.
ENOSYS = 38
NO_LANDLOCK = {
    "defaultAction": "SCMP_ACT_ALLOW",
    "syscalls": [
        {"names": ["unshare", "setns", "mount", "umount2", "pivot_root"],
         "action": "SCMP_ACT_ERRNO"},
        {"names": ["clone"], "action": "SCMP_ACT_ERRNO",
         "args": [{"index": 0, "value": 0x10000000, "valueTwo": 0x10000000,
                   "op": "SCMP_CMP_MASKED_EQ"}]},
        {"names": ["clone3", "landlock_create_ruleset"], "action": "SCMP_ACT_ERRNO",
         "errnoRet": ENOSYS},
    ],
}


@dataclasses.dataclass(frozen=True)
class Case:
    name: str
    words: tuple  # of tiers_inside.py
    options: tuple | None = None  # of docker run; None: gVisor
    without_landlock: bool = False


CASES = (
    Case("gvisor", ("nested-gvisor", "--probes")),
    Case("docker-refused", ("refused",), HARDENED),
    Case("docker-hardened", ("process", "--probes"), HARDENED),
    Case("docker-root", ("process",), ()),
    Case("docker-without-landlock", ("process", "--short"), HARDENED, without_landlock=True),
    Case("docker-open", ("full", "--short"), (*OPEN, "--user", "1000:1000")),
    Case("docker-open-root", ("full", "--short"), OPEN),
)


class Tally:
    def __init__(self):
        self.passed = self.failed = self.skipped = 0

    def read(self, case, code, text):
        """Counts the lines of one case; a case that does not come to its end has failed."""
        lines = text.splitlines()
        for line in lines:
            self.passed += line.startswith("ok   ")
            self.failed += line.startswith("FAIL ")
            if line.startswith(("ok   ", "FAIL ")):
                print(f"{line[:5]}{case.name}: {line[5:]}")
        if code != 0 or not lines or lines[-1] != "END":
            self.failed += 1
            print(f"FAIL {case.name}: exit {code} before its end: {text[-800:]}")
        sys.stdout.flush()

    def skip(self, case, why):
        self.skipped += 1
        print(f"skip {case.name}: {why}", flush=True)


def run_docker_cases(cases, top):
    """(case, exit code, text) of each, one after the other in a daemon of their own."""
    profile = pathlib.Path(top) / "no-landlock.json"
    profile.write_text(json.dumps(NO_LANDLOCK))
    results = []
    started = time.monotonic()
    with contextlib.closing(containers.Docker(top)) as docker:
        for case in cases:
            options = [*case.options]
            if case.without_landlock:
                options += ["--security-opt", f"seccomp={profile}"]
            results.append((case, *docker.run(options, ["python3", INSIDE, *case.words], SECONDS)))
            print(f"     {case.name}: {time.monotonic() - started:.0f} s so far", flush=True)
    return results


def run_gvisor_cases(cases, top):
    pod = containers.Gvisor(top)
    return [(case, *pod.run(["/usr/bin/python3", INSIDE, *case.words], SECONDS)) for case in cases]


def run_cases(cases, tally):
    by_kind = {
        "runsc": ([c for c in cases if c.options is None], run_gvisor_cases),
        "dockerd": ([c for c in cases if c.options is not None], run_docker_cases),
    }
    containers.root_archive()
    with containers.work_folder() as top, concurrent.futures.ThreadPoolExecutor(2) as pool:
        waiting = []
        for program, (chosen, run_them) in by_kind.items():
            if chosen and shutil.which(program) is None:
                for case in chosen:
                    tally.skip(case, f"{program} is not installed")
            elif chosen:
                waiting.append((chosen, pool.submit(run_them, chosen, top)))
        for chosen, future in waiting:
            try:
                for case, code, text in future.result():
                    tally.read(case, code, text)
            except (OSError, RuntimeError) as error:
                tally.read(chosen[0], None, str(error))


def main():
    parser = argparse.ArgumentParser(description="Tests the tiers of containers.")
    names = [case.name for case in CASES]
    parser.add_argument("--only", action="append", choices=names)
    parser.add_argument("--list", action="store_true")
    options = parser.parse_args()
    if options.list:
        print("\n".join(names))
        return
    if os.geteuid() != 0:
        sys.exit("tiers.py: containers are started by root")
    tally = Tally()
    chosen = [case for case in CASES if not options.only or case.name in options.only]
    if shutil.which("mmdebstrap") is None:
        for case in chosen:
            tally.skip(case, "mmdebstrap is not installed")
    else:
        run_cases(chosen, tally)
    print(f"{tally.passed} passed, {tally.failed} failed, {tally.skipped} skipped")
    sys.exit(0 if tally.failed == 0 and tally.passed + tally.skipped > 0 else 1)


if __name__ == "__main__":
    main()
