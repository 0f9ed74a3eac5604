#!/usr/bin/env python3
"""Kills the caller of a durable workspace, its launcher or its keeper at random moments.

    tests/security/crash_durable.py [--count N] [--seed S] [--as-user UID]

Afterwards a new launcher either adopts the workspace, and then its process ends as if nothing had
happened and its log is whole, or finds nobody of that name. The latter is right only where the
keeper was killed, or where nobody had been told yet that the workspace exists. Once it is discarded
nothing may remain. The seed is printed; the last line is `N passed, N failed`.
"""

import argparse
import contextlib
import errno
import os
import pathlib
import random
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import wire  # noqa: E402
from support import airlock, leftovers  # noqa: E402

COUNT = 10
LINES = 150
LINE_SECONDS = 0.004
KILL_AFTER_MAX = 0.5 * airlock.SLOW
VICTIMS = (("caller",), ("launcher",), ("caller", "launcher"), ("launcher", "caller"), ("keeper",))
NAME = "crash"
# What the crash has left may still be on its way to its name when it is looked for.
APPEARS_SECONDS = 1 * airlock.SLOW
SCRIPT = (
    f"i=0; while [ $i -lt {LINES} ]; do echo line $i; i=$((i+1)); sleep {LINE_SECONDS}; done; "
    "exit 7"
)
EXPECTED = "".join(f"line {i}\n" for i in range(LINES))


# --- the caller, a process of its own so that it can be killed ------------------------------------
def be_caller(state, uid):
    launcher = wire.Launcher(airlock.Caller(uid), state_directory=state)
    print(launcher.process.pid, flush=True)
    keeper = launcher.ask(wire.open_workspace(name=NAME))
    if wire.kind_of(wire.receive(keeper)[0]) != "Adopted":
        sys.exit("it cannot be opened")
    print("opened", flush=True)
    wire.send(keeper, wire.create_sandbox())
    process, theirs = wire.pair()
    log = os.open(f"{state}/log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    request = wire.execute(
        ["/bin/sh", "-c", SCRIPT], env=["PATH=/usr/bin:/bin"], wall=60_000, cpu=60_000,
        tag="run", log_bytes=1 << 20, fds=2,
    )
    wire.send(keeper, request, [theirs.fileno(), log])
    theirs.close()
    print("sent", flush=True)
    wire.receive(process, 300)
    time.sleep(300)


def keeper_of(launcher):
    """The child of the launcher that has left its session."""
    for entry in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError, IndexError, ValueError):
            fields = pathlib.Path(f"/proc/{entry}/stat").read_text().rpartition(")")[2].split()
            if int(fields[1]) == launcher and fields[3] == entry:
                return int(entry)
    return None


def kill(pid):
    with contextlib.suppress(OSError):
        os.kill(pid, signal.SIGKILL)
        return True
    return False


def read_log(path):
    """(stdout, whether the file is a row of whole records in the order of time)."""
    data = path.read_bytes() if path.exists() else b""
    text, last, good = b"", 0, True
    while len(data) >= 16:
        micros, stream, length = struct.unpack_from("<QB3xI", data)
        good &= micros >= last and len(data) >= 16 + length
        text += data[16 : 16 + length] if stream == 1 else b""
        last, data = micros, data[16 + length :]
    return text.decode(), good and not data


def said_until_now(process):
    os.set_blocking(process.stdout.fileno(), False)
    return process.stdout.read() or b""


def crash_once(caller, state, victims, seconds):
    """(whether it may be lost, how many were killed)."""
    arguments = [sys.executable, __file__, "--be-caller", str(state)]
    arguments += ["--as-user", str(caller.uid)] if caller.uid is not None else []
    process = subprocess.Popen(arguments, stdout=subprocess.PIPE, start_new_session=True)
    launcher = int(process.stdout.readline() or 0)
    time.sleep(seconds)
    pids = {"caller": process.pid, "launcher": launcher, "keeper": keeper_of(launcher)}
    killed = sum(kill(pids[victim]) for victim in victims if pids[victim])
    said = said_until_now(process)
    if "caller" not in victims:
        kill(process.pid)  # nobody is left who could ask this one
    process.wait()
    process.stdout.close()
    return b"sent" not in said or "keeper" in victims, killed


def adopt(launcher):
    """(its channel, the answer) of the workspace; None for a channel where nobody has the name."""
    until = time.monotonic() + APPEARS_SECONDS
    while True:
        channel = launcher.ask(wire.named("AdoptWorkspace", NAME))
        packet, _ = wire.receive(channel)
        if wire.kind_of(packet) == "Adopted":
            return channel, packet
        channel.close()
        if time.monotonic() > until:
            return None, packet
        time.sleep(0.05)


def report_of_adopted(channel, adopted):
    """The report of the one process; None where there is none."""
    if adopted[-4:] != struct.pack("<I", 1):
        return None
    packet, fds = wire.receive(channel)
    with wire.socket.socket(fileno=fds[0]) as process:
        return wire.parse_report(wire.receive(process)[0])


def judge(launcher, state, may_be_lost):
    """What is wrong with what the crash has left, or None."""
    channel, packet = adopt(launcher)
    if channel is None:
        if not may_be_lost:
            return "it is lost"
        answer = wire.answer_of(packet)
        return None if answer == ("WorkspaceAnswer", errno.ENOENT) else f"adopting gives {answer}"
    with contextlib.closing(channel):
        listed = NAME in launcher.names()
        report = report_of_adopted(channel, packet)
    wrong = None if listed else "it is adopted but not listed"
    if report is None:
        wrong = wrong or (None if may_be_lost else "its process is lost")
    elif report["wait_status"] != 7 << 8:
        wrong = f"its process ended with {report}"
    elif read_log(state / "log") != (EXPECTED, True):
        wrong = "its log is not whole"
    said = launcher.answer(wire.named("DiscardWorkspace", NAME))
    return wrong or (None if said == ("WorkspaceAnswer", 0) else f"discarding gives {said}")


def run_all(caller, count, seed, tally):
    seed = random.randrange(2**32) if seed is None else seed
    rng = random.Random(seed)
    print(f"     durable workspaces: seed {seed}, {count} crashes", flush=True)
    wire.Launcher(caller).end()  # makes what lasts
    before = leftovers.snapshot()
    for number in range(count):
        victims, seconds = rng.choice(VICTIMS), rng.uniform(0, KILL_AFTER_MAX)
        state = pathlib.Path(tempfile.mkdtemp(prefix="durable-crash-"))
        if caller.uid is not None:
            os.chown(state, caller.uid, -1)
        may_be_lost, killed = crash_once(caller, state, victims, seconds)
        launcher = wire.Launcher(caller, state_directory=str(state))
        wrong = judge(launcher, state, may_be_lost)
        if launcher.end() != 0 and wrong is None:
            wrong = "the launcher fails"
        shutil.rmtree(state)
        left = leftovers.remaining(before)
        who = " and ".join(victims)
        name = f"durable {number + 1}/{count}: {who} after {seconds * 1000:.0f} ms"
        if left:
            before = leftovers.snapshot()
        told = wrong or ("left: " + "; ".join(left[:4]) if left else f"{killed} killed")
        tally.say(wrong is None and not left, name, told)


def main():
    import run as suite

    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--count", type=int, default=COUNT)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--as-user", type=int, default=None, metavar="UID")
    parser.add_argument("--be-caller", default=None, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.be_caller:
        return be_caller(options.be_caller, options.as_user)
    tally = suite.Tally()
    run_all(airlock.Caller(options.as_user), options.count, options.seed, tally)
    print(f"{tally.passed} passed, {tally.failed} failed")
    sys.exit(0 if tally.failed == 0 else 1)


if __name__ == "__main__":
    main()
