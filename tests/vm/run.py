#!/usr/bin/env python3
"""Runs the sandbox suites in a virtual machine that has cgroup v2 and Debian 12's cloud kernel.

    tests/vm/run.py [--build build/release] [--slow FACTOR] [--timeout SECONDS] [SUITE...]
    tests/vm/run.py --core-scheduling
    tests/vm/run.py [--as tester] --command 'build/release/bin/airlock doctor'

Streams what the suites print, then prints one line per suite and, last, `N passed, N failed`. The
exit status is 0 exactly when every chosen suite reported and none failed. See README.md.
"""

import argparse
import dataclasses
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile

import build_core_kernel
import build_image
import machine
import suites

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
CARRIED = ("tests", "policies", "docs")
PROGRAMS = ("bin/*", "bin/probes/*", "tests/*_test")
# The guest has these itself; two versions of glibc's parts must never meet.
GUEST_LIBRARIES = ("libc.so", "libm.so", "libpthread.so", "libdl.so", "librt.so")
STATE_IMAGE_BYTES = 2 << 30
CONSOLE_TAIL_LINES = 40
BOOT_SECONDS = 60


def parse_arguments():
    parser = argparse.ArgumentParser(description="Run the sandbox suites on cgroup v2 in QEMU.")
    parser.add_argument("suites", nargs="*", metavar="SUITE", help="default: all of suites.py")
    parser.add_argument("--build", default="build/release", help="build folder with the binaries")
    parser.add_argument("--slow", type=float, default=6.0,
                        help="factor by which the suites stretch their deadlines (default: 6)")
    parser.add_argument("--timeout", type=int, help="seconds for the whole machine (default: the "
                        "sum of the suites' limits)")
    parser.add_argument("--core-scheduling", action="store_true", help="instead of suites: on a "
                        "kernel with core scheduling, built first (ten processor minutes, once)")
    parser.add_argument("--command", metavar="TEXT", help="instead of suites: this, by a shell")
    parser.add_argument("--as", dest="user", choices=("root", "tester"), default="root",
                        help="who runs the command (default: root)")
    arguments = parser.parse_args()
    if arguments.core_scheduling and not arguments.command:
        arguments.suites = list(suites.CORE_SUITES)
        return arguments
    try:
        arguments.suites = ([suites.of_command(arguments.command, arguments.user)]
                            if arguments.command else suites.selected(arguments.suites))
    except ValueError as error:
        parser.error(str(error))
    return arguments


def libraries_of(program):
    """Host paths of the shared libraries that a program needs; none for a static one."""
    listing = subprocess.run(["ldd", program], capture_output=True, text=True, check=False).stdout
    words = [line.split() for line in listing.splitlines()]
    found = [line[2] for line in words if len(line) > 3 and line[1] == "=>"]
    return [path for path in found if not pathlib.Path(path).name.startswith(GUEST_LIBRARIES)]


def copy_programs(build, tree):
    """Copies what was built, at the same places as on the host, and returns what was copied."""
    found = [path for pattern in PROGRAMS for path in sorted(build.glob(pattern))
             if path.is_file() and os.access(path, os.X_OK)]
    for source in found:
        target = tree / source.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, target)
    return found


def empty_file(path, size_bytes):
    with open(path, "wb") as file:
        file.truncate(size_bytes)
    return path


def make_payload(work, build, arguments):
    """A disk with a small copy of this repository: binaries, their libraries, tests, policies."""
    tree = work / "payload"
    tree.mkdir()
    for name in CARRIED:
        shutil.copytree(ROOT / name, tree / name, symlinks=True,
                        ignore=shutil.ignore_patterns("__pycache__"))
    libraries = tree / "lib"
    libraries.mkdir()
    for program in copy_programs(build, tree):
        for library in libraries_of(program):
            shutil.copy2(library, libraries)
    order = {"suites": [dataclasses.asdict(suite) for suite in arguments.suites],
             "slow": arguments.slow, "build": str(build)}
    (tree / "order.json").write_text(json.dumps(order))
    (tree / "root-path").write_text(str(ROOT))
    image = empty_file(work / "payload.img", 0)
    size = sum(entry.lstat().st_size for entry in tree.rglob("*")) * 5 // 4 + (16 << 20)
    command = ["mke2fs", "-q", "-t", "ext4", "-O", "^has_journal", "-E", "root_owner=0:0",
               "-d", tree, image, f"{size >> 10}K"]
    subprocess.run(command, check=True)
    return image


def make_state_disk(work):
    """The state disk: an ext4 that keeps quotas by project from its first mount on."""
    image = empty_file(work / "state.img", STATE_IMAGE_BYTES)
    subprocess.run(["mke2fs", "-q", "-t", "ext4", "-O", "quota,project", "-E", "quotatype=prjquota",
                    image], check=True)
    return image


def run_machine(guest, timeout_seconds):
    """Runs the machine to its end; returns the results it reported and why it ended early."""
    problem = None
    with guest:
        try:
            for piece in guest.log(timeout_seconds):
                sys.stdout.buffer.write(piece)
                sys.stdout.flush()
        except machine.MachineTimeout:
            problem = f"the machine was still running after {timeout_seconds} s"
    results = [json.loads(line) for line in guest.results.read_text().splitlines()]
    for record in results:
        problem = record.get("error") or problem
    if not problem and not any(record.get("done") for record in results):
        problem = "the machine switched off before its last suite had ended"
    return results, problem


def verdict(suite, results):
    """Returns (passed, failed, skipped, seconds, remark) of one suite."""
    reports = [record for record in results if record.get("suite") == suite.name]
    if not reports:
        return 0, 1, 0, 0, "did not report"
    report = reports[0]
    passed, failed, skipped = report["passed"] or 0, report["failed"] or 0, report["skipped"] or 0
    remarks = []
    if report["timed_out"]:
        remarks.append(f"was killed after {suite.timeout_seconds} s")
    elif report["passed"] is None:
        remarks.append("printed no verdict")
    if (report["status"] != 0) != (failed > 0):
        remarks.append(f"exit status {report['status']}")
    remarks += [f"left behind: {left}" for left in report["left"]]
    # A suite that ends badly without counting it itself is one failure more.
    if remarks:
        failed += 1
    return passed, failed, skipped, report["seconds"], "; ".join(remarks)


def sum_line(passed, failed, skipped):
    return f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else "")


def print_verdicts(chosen, results, problem, console):
    passed_sum = failed_sum = skipped_sum = 0
    print("\n=== test machine")
    for suite in chosen:
        passed, failed, skipped, seconds, remark = verdict(suite, results)
        print(f"{suite.name}: {sum_line(passed, failed, skipped)} in {seconds:.0f} s")
        if remark:
            print(f"FAILED {suite.name}: {remark}")
        passed_sum += passed
        failed_sum += failed
        skipped_sum += skipped
    if problem:
        failed_sum += 1
        tail = console.read_text(errors="replace").splitlines()[-CONSOLE_TAIL_LINES:]
        print(f"FAILED: {problem}", "the end of its console:", *tail, sep="\n")
    print(sum_line(passed_sum, failed_sum, skipped_sum))
    return 1 if failed_sum else 0


def main():
    arguments = parse_arguments()
    if not shutil.which(machine.QEMU):
        sys.exit(f"test machine: {machine.QEMU} is missing; install qemu-system-x86")
    # The clean-up of `with` must also run when the build that waits for us is stopped.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("test machine: stopped"))
    base = build_image.base_image()
    smt = arguments.core_scheduling
    kernel = build_core_kernel.core_kernel() if smt else base / "vmlinuz"
    timeout_seconds = arguments.timeout or BOOT_SECONDS + sum(
        suite.timeout_seconds for suite in arguments.suites)
    with tempfile.TemporaryDirectory(prefix="run-", dir=build_image.CACHE) as name:
        work = pathlib.Path(name)
        payload = make_payload(work, ROOT / arguments.build, arguments)
        guest = machine.Machine(kernel, base, payload, make_state_disk(work), work, smt=smt)
        results, problem = run_machine(guest, timeout_seconds)
        return print_verdicts(arguments.suites, results, problem, guest.console)


if __name__ == "__main__":
    sys.exit(main())
