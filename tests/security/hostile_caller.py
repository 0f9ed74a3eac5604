#!/usr/bin/env python3
"""Plays a hostile caller: malformed, oversized and forbidden requests must gain nothing.

    tests/security/hostile_caller.py [--only PATTERN] [--as-user UID] [--seed S]

After each attack the launcher must either still serve an honest run or have ended without a crash;
a new one must work; and nothing may be left. The last line is `N passed, N failed`.
"""

import argparse
import contextlib
import os
import pathlib
import random
import struct
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import hostile_durable  # noqa: E402
import hostile_grants  # noqa: E402
import wire  # noqa: E402
from hostile_support import (  # noqa: E402
    exited_zero,
    expect,
    opened,
    program,
    report_of,
    sandbox,
    yield_report,
)
from support import airlock, leftovers  # noqa: E402

FUZZ_PACKETS = 400


# --- against the launcher: each takes it and sends something --------------------------------------


def garbage(launcher):
    for packet in (b"", b"\0", b"ALK", os.urandom(8), os.urandom(4096), b"\xff" * 65536):
        wire.send(launcher.control, packet)


def oversized(launcher):
    wire.send(launcher.control, wire.open_workspace() + b"x" * (wire.MESSAGE_BYTES_MAX + 1))


def trailing(launcher):
    _, theirs = wire.pair()
    wire.send(launcher.control, wire.open_workspace() + b"x", [theirs.fileno()])


def wrong_magic(launcher):
    _, theirs = wire.pair()
    packet = wire.header("OpenWorkspace", 1, magic=0x12345678) + wire.open_workspace()[8:]
    wire.send(launcher.control, packet, [theirs.fileno()])


def without_channel(launcher):
    wire.send(launcher.control, wire.open_workspace())


def too_many_descriptors(launcher):
    with opened("/dev/null") as null:
        wire.send(launcher.control, wire.open_workspace(), [null] * 250)


def channel_that_is_none(launcher):
    for path in ("/dev/null", "/", "/etc/passwd"):
        with opened(path) as fd:
            wire.send(launcher.control, wire.open_workspace(), [fd])


def orders_of_others(launcher):
    for name in wire.TYPES[2:]:
        wire.send(launcher.control, wire.header(name) + b"\0" * 64)


def impossible_workspace(launcher):
    for request in (
        {"disk": 2**63},
        {"disk": 0},
        {"disk": 2**64 - 1, "inodes": 2**32 - 1},
        {"inodes": 0},
        {"memory": 0},
        {"memory": 2**64 - 1},
    ):
        keeper = launcher.open(**request)
        wire.send(keeper, wire.create_sandbox())
        with contextlib.closing(wire.start_program(keeper, program(), ["exit", "0"])) as process:
            packet, _ = wire.receive(process)
            yield_report(packet)
        keeper.close()


def fuzz_control(launcher):
    for _ in range(FUZZ_PACKETS):
        name = RNG.choice(wire.TYPES)
        wire.send(launcher.control, wire.header(name) + RNG.randbytes(RNG.randrange(64)))


def many_at_once(launcher):
    keepers = [launcher.open() for _ in range(40)]
    for keeper in keepers:
        wire.send(keeper, wire.create_sandbox())
    for keeper in keepers:
        keeper.close()


# --- against a keeper -----------------------------------------------------------------------------


def unknown_profile(launcher):
    for profile in ("", "none", "unconfined", "../default", "default\n", "x" * 5000):
        with sandbox(launcher, profile) as keeper:
            expect(
                not exited_zero(report_of(keeper)),
                f"a program ran with the profile {profile[:20]!r}",
            )


def out_of_order(launcher):
    keeper = launcher.open()
    expect(not exited_zero(report_of(keeper)), "a program ran before there was a sandbox")
    keeper.close()
    with sandbox(launcher) as keeper:
        wire.send(keeper, wire.create_sandbox())
    keeper = launcher.open()
    wire.send(keeper, wire.header("DestroySandbox"))
    wire.send(keeper, wire.header("DestroySandbox"))
    wire.send(keeper, wire.collect())
    keeper.close()


def evil_paths(launcher):
    target = pathlib.Path(tempfile.gettempdir()) / f"host-written-{os.getpid()}"
    for path in (
        f"../../../../../..{target}",
        str(target),
        f"workspace/../../..{target}",
        "workspace",
        "",
        ".",
        "..",
        "a//b",
        "a\0b",
        "x" * 5000,
        "/".join("d" * 100),
        "../program",
    ):
        with sandbox(launcher) as keeper, opened("/etc/passwd") as fd:
            wire.send(keeper, wire.put_file(path), [fd])
            report_of(keeper)
        expect(not target.exists(), f"{path[:40]!r} wrote a file of the host")


def evil_inputs(launcher):
    for path, flags in (("/", os.O_RDONLY), ("/dev/zero", os.O_RDONLY), ("/etc/passwd", os.O_PATH)):
        with sandbox(launcher) as keeper, opened(path, flags) as fd:
            wire.send(keeper, wire.put_file("workspace/input"), [fd])
            report_of(keeper)


def forged_flags(launcher):
    with sandbox(launcher) as keeper:
        report = report_of(keeper, ("allocate", str(200 << 20)), use_rlimits=True, memory=32 << 20)
        expect(not exited_zero(report), "a forged use_rlimits lifted the memory limit")


def impossible_limits(launcher):
    top = 2**64 - 1
    for request in (
        {"wall": 0},
        {"wall": top},
        {"cpu": 0},
        {"cpu": top},
        {"memory": 0},
        {"memory": top},
        {"pids": 0},
        {"pids": 2**32 - 1},
        {"files": 0},
        {"files": 2**32 - 1},
        {"rate": 2**32 - 1},
    ):
        with sandbox(launcher) as keeper:
            report_of(keeper, **request)


def impossible_commands(launcher):
    for argv, request in (
        ([], {}),
        (["x"] * 5000, {}),
        ([""], {}),
        (["/workspace/program"], {"cwd": ".."}),
        (["/workspace/program"], {"cwd": ""}),
        (["/workspace/program"], {"cwd": "/proc/1/root"}),
        (["/workspace/program"], {"env": ["NOEQUALS", "LD_PRELOAD=/x"]}),
        (["/workspace/program"], {"terminal": True}),
        (["/workspace/program"], {"fds": 1}),
    ):
        with sandbox(launcher) as keeper, opened("/dev/null", os.O_RDWR) as null:
            ours, theirs = wire.pair()
            wire.send(keeper, wire.execute(argv, **request), [theirs.fileno(), null, null, null])
            theirs.close()
            packet, fds = wire.receive(ours, 5)
            yield_report(packet) if wire.kind_of(packet) != "Terminal" else None
            for fd in fds:
                os.close(fd)
            ours.close()


def broken_lists(launcher):
    good = wire.execute(["/workspace/program", "exit", "0"])
    for at in range(8, len(good), 3):
        packet = good[:at] + struct.pack("<I", RNG.randrange(2**32)) + good[at + 4 :]
        with sandbox(launcher) as keeper, opened("/dev/null", os.O_RDWR) as null:
            ours, theirs = wire.pair()
            wire.send(keeper, packet, [theirs.fileno(), null, null, null])
            theirs.close()
            ours.close()


def orders_of_init(launcher):
    with opened("/") as root:
        for name in (
            "ViewSetup",
            "WorkspaceSetup",
            "ExecSetup",
            "Confine",
            "InitReady",
            "InitExited",
            "InitPutDone",
            "InitSignal",
            "WorkspaceMount",
            "Starting",
            "StartFailed",
            "Report",
            "CollectDone",
            "Bind",
            "ReadTree",
            "TreeEntry",
            "TreeDone",
            "LayerKept",
            "LayerListed",
            "LayersDone",
        ):
            with sandbox(launcher) as keeper:
                wire.send(keeper, wire.header(name, 1) + b"\0" * 32, [root])
                expect(not exited_zero(report_of(keeper)), f"{name} was taken for an order")


def process_channel(launcher):
    for packet in (
        b"",
        os.urandom(32),
        wire.execute(["x"]),
        wire.create_sandbox(),
        *(wire.header("Signal") + struct.pack("<i", n) for n in (0, -1, 65, 1 << 30)),
        *(wire.header("Kill") + struct.pack("<B", n) for n in (0, 200)),
        wire.header("Terminate") + struct.pack("<BQ", 255, 2**64 - 1),
    ):
        with sandbox(launcher) as keeper:
            process = wire.start_program(keeper, program(), ["sleep", "300"])
            wire.send(process, packet)
            yield_report(wire.receive(process)[0])
            process.close()


def collects_the_host(launcher):
    secret = pathlib.Path(tempfile.mkdtemp(prefix="host-scratch-")) / "secret"
    secret.write_text("the-secret-of-the-host")
    try:
        for directory in (
            "/",
            "/etc",
            "/proc/self/root",
            "/proc/1/root",
            "..",
            "",
            "/workspace/../..",
            str(secret.parent),
            "tmp",
            "output",
            ".",
        ):
            for patterns in (("**",), ("../**",), (str(secret),), ("*" * 1000,)):
                _collect_once(launcher, directory, patterns)
    finally:
        secret.unlink()
        secret.parent.rmdir()


def _collect_once(launcher, directory, patterns):
    with sandbox(launcher) as keeper:
        report_of(keeper)
        wire.send(
            keeper,
            wire.collect(
                directory, patterns, files=2**32 - 1, file_bytes=2**64 - 1, total=2**64 - 1
            ),
        )
        for _ in range(2000):
            packet, fds = wire.receive(keeper, 10)
            for fd in fds:
                content = os.pread(fd, 100, 0) if wire.kind_of(packet) == "CollectedFile" else b""
                os.close(fd)
                expect(
                    b"the-secret-of-the-host" not in content,
                    f"collected a file of the host: {directory}",
                )
                expect(not content.startswith(b"root:$"), "collected the host's shadow file")
            if not packet or wire.kind_of(packet) == "CollectDone":
                return


def hangs_up_anywhere(launcher):
    for step in range(4):
        keeper = launcher.open()
        if step > 0:
            wire.send(keeper, wire.create_sandbox())
        process = wire.start_program(keeper, program(), ["sleep", "5000"]) if step > 1 else None
        if step > 2:
            process.close()
        keeper.close()


def never_reads(launcher):
    with sandbox(launcher) as keeper:
        report_of(keeper, ("files", "500", "0"))
        for _ in range(50):
            wire.send(keeper, wire.collect("workspace"))


def fuzz_keeper(launcher):
    for _ in range(FUZZ_PACKETS // 8):
        with sandbox(launcher) as keeper:
            for _ in range(8):
                wire.send(
                    keeper, wire.header(RNG.choice(wire.TYPES)) + RNG.randbytes(RNG.randrange(96))
                )


ATTACKS = (
    garbage,
    oversized,
    trailing,
    wrong_magic,
    without_channel,
    too_many_descriptors,
    channel_that_is_none,
    orders_of_others,
    impossible_workspace,
    fuzz_control,
    many_at_once,
    unknown_profile,
    out_of_order,
    evil_paths,
    evil_inputs,
    forged_flags,
    impossible_limits,
    impossible_commands,
    broken_lists,
    orders_of_init,
    process_channel,
    collects_the_host,
    *hostile_grants.ATTACKS,
    hangs_up_anywhere,
    never_reads,
    fuzz_keeper,
    *hostile_durable.ATTACKS,
)
RNG = random.Random(0)


def attack_once(attack, caller):
    """Why the attack gained something, or None."""
    launcher = wire.Launcher(caller)
    try:
        attack(launcher)
        alive = launcher.process.poll() is None
        # A launcher that hung up on nonsense refuses; one that goes on must serve honestly.
        report = wire.honest_run(launcher, program(), ["exit", "0"]) if alive else {}
        wrong = (
            None
            if not report or exited_zero(report)
            else f"an honest run afterwards gives {report}"
        )
    except AssertionError as error:
        wrong = str(error)
    status = launcher.end()
    if wrong is None and status is None:
        wrong = "the launcher does not end when its caller is gone"
    if wrong is None and status < 0:
        wrong = f"the launcher died of signal {-status}"
    if wrong is None:
        fresh = wire.Launcher(caller)
        if not exited_zero(wire.honest_run(fresh, program(), ["exit", "0"])):
            wrong = "a new launcher does not work afterwards"
        fresh.end()
    return wrong


def run_all(caller, tally, only="", seed=None):
    seed = random.randrange(2**32) if seed is None else seed
    RNG.seed(seed)
    print(f"     hostile caller: seed {seed}")
    before = leftovers.snapshot()
    for attack in ATTACKS:
        name = attack.__name__.replace("_", " ")
        if only and only not in name:
            continue
        wrong = attack_once(attack, caller)
        left = leftovers.remaining(before)
        if left:
            before = leftovers.snapshot()
        tally.say(
            wrong is None and not left,
            f"hostile caller: {name}",
            wrong or ("left: " + "; ".join(left[:4]) if left else "gained nothing"),
        )


def main():
    import run as suite

    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--only", default="")
    parser.add_argument("--as-user", type=int, default=None, metavar="UID")
    parser.add_argument("--seed", type=int, default=None)
    options = parser.parse_args()
    tally = suite.Tally()
    run_all(airlock.Caller(options.as_user), tally, options.only, options.seed)
    print(f"{tally.passed} passed, {tally.failed} failed")
    sys.exit(0 if tally.failed == 0 else 1)


if __name__ == "__main__":
    main()
