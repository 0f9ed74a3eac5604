#!/usr/bin/env python3
"""Kills caller, launcher and keeper with SIGKILL, at named points and at random moments.

    tests/security/crash.py [--count N] [--seed S] [--as-user UID] [--points]

After each crash the next run must work, and once it has (it sweeps what was left) nothing may
remain: no process, control group, mount, loop device, namespace, temporary file or listening
socket. The seed is printed; the same seed kills at the same moments. The last line is `N passed, N
failed`.
"""

import argparse
import contextlib
import os
import pathlib
import random
import re
import signal
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import outcomes  # noqa: E402
from support import airlock, leftovers  # noqa: E402

COUNT = 50 if airlock.SLOW < 2 else 20  # an emulated machine takes seconds for each
RUN_MS = 120  # how long the guest lives; a kill comes at any time from start to past its end
KILL_AFTER_MAX = 0.2 * airlock.SLOW
START_MAX = 0.004 * airlock.SLOW  # half of the kills come while the first sandbox is being made
VICTIMS = ("caller", "launcher", "keeper", "init", "all of them")
# Named in the launcher's source: crash_point("crash:NAME").
POINTS = (
    "host_opened",
    "keeper_forked",
    "slot_taken",
    "workspace_made",
    "cloned",
    "mapped",
    "group_made",
    "exec_sent",
    "before_report",
    "after_report",
    "before_destroy",
    "init_reaped",
)
# No run comes by these; src/backend/native/layers_native_test.cc does.
LAYER_POINTS = ("layer_begun", "layer_written", "layer_synced", "layer_named", "layer_unnamed")
CALLS = (
    ("sleep", "sleep {ms}", ""),
    ("spin with children", "spin {ms} 3", ""),
    ("big disk", "write 8388608 0", "--disk 100m --memory 128m"),
    ("many processes", "fork 20 0", ""),
)


# Who starts sandboxes: `airlock run` forks its launcher, or starts airlock-jail where it is named;
# a service keeps one launcher for all its sandboxes, with a keeper for each and one ahead.
STARTS = ("airlock run", "airlock run with airlock-jail", "a service")

# In the environment of all that we start, so that only our own survivors are ended.
MARK = "AIRLOCK_TEST_CRASH_RUN"
OURS = f"{os.getpid()}-{time.time_ns()}"


def end_survivors():
    """Ends what outlived a crash, once counted, so that the next count is not spoilt."""
    wanted = f"{MARK}={OURS}".encode()
    for entry in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            if wanted in pathlib.Path(f"/proc/{entry}/environ").read_bytes().split(b"\0"):
                os.kill(int(entry), signal.SIGKILL)


def start(caller, call, options, env=None):
    env = {**(env or {}), MARK: OURS}
    command = airlock.command_line(airlock.probe_binary("outcomes"), call.split(), options.split())
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=caller.environment(env),
        cwd="/",
        start_new_session=True,
        **caller.popen_options(),
    )


def start_as(caller, how, call, options):
    if how == "a service":
        binaries = airlock.binary().parent
        return subprocess.Popen(
            [binaries / "bench-launcher", "--count", "40", "--workers", "2",
             binaries / "bench-noop"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=caller.environment({MARK: OURS}),
            cwd="/",
            start_new_session=True,
            **caller.popen_options(),
        )
    named = how == "airlock run with airlock-jail"
    jail = {"AIRLOCK_JAIL": str(airlock.binary().with_name("airlock-jail"))} if named else None
    return start(caller, call, options, jail)


def _stat(pid):
    """(name, parent) of a process, or None."""
    with contextlib.suppress(OSError, IndexError, ValueError):
        text = pathlib.Path(f"/proc/{pid}/stat").read_text(errors="replace")
        end = text.rindex(")")
        return text[text.index("(") + 1 : end], int(text[end + 2 :].split()[1])
    return None


def family(root):
    """Descendants of a process, parents first: [(pid, name, depth)]."""
    children = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit() and (stat := _stat(entry)):
            children.setdefault(stat[1], []).append((int(entry), stat[0]))
    found, todo = [], [(root, 0)]
    while todo:
        pid, depth = todo.pop(0)
        for child, name in children.get(pid, ()):
            found.append((child, name, depth + 1))
            todo.append((child, depth + 1))
    return found


def pick(process, victim, rng):
    """Pids to kill. Launcher: the first airlock-jail of the family; keepers: those below it, or the
    launcher itself where it is the keeper."""
    below = family(process.pid)
    jails = [pid for pid, name, _ in below if name.startswith("airlock-jail")]
    inits = [pid for pid, name, _ in below if name.startswith("airlock-init")]
    if victim == "caller":
        return [process.pid]
    if victim == "launcher":
        return jails[:1]
    if victim == "keeper":
        return [rng.choice(jails[1:] or jails)] if jails else []
    if victim == "init":
        return inits[:1]
    return [process.pid, *jails]


def kill_at(process, victim, seconds, rng):
    time.sleep(seconds)
    killed = 0
    for pid in pick(process, victim, rng):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
            killed += 1
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(20 * airlock.SLOW)
    hung = process.poll() is None
    if hung:
        process.kill()
        process.wait()
    return killed, hung


def next_run_works(caller):
    done = airlock.run(
        airlock.probe_binary("outcomes"), ["exit", "0"], caller=caller, timeout_seconds=30
    )
    return done.outcome == "exited" and done.returncode == 0, done.describe()


def check_after(caller, before, tally, name, said):
    works, how = next_run_works(caller)
    left = leftovers.remaining(before)
    good = works and not left
    text = (
        said
        if good
        else ("the next run fails: " + how if not works else "left: " + "; ".join(left[:4]))
    )
    tally.say(good, name, text)
    if not good:
        end_survivors()
    return good


def run_random(caller, count, seed, tally):
    rng = random.Random(seed)
    print(f"     crash: seed {seed}, {count} crashes", flush=True)
    before = leftovers.snapshot()
    for number in range(count):
        victim, (label, call, options) = rng.choice(VICTIMS), rng.choice(CALLS)
        seconds = rng.uniform(0, rng.choice((START_MAX, KILL_AFTER_MAX)))
        how = rng.choice(STARTS)
        process = start_as(caller, how, call.format(ms=RUN_MS), options)
        killed, hung = kill_at(process, victim, seconds, rng)
        what = how if how == "a service" else f"{how}, {label}"
        name = f"crash {number + 1}/{count}: {victim} after {seconds * 1000:.1f} ms of {what}"
        if hung:
            tally.say(False, name, "airlock hangs after the kill")
            end_survivors()
        elif not check_after(caller, before, tally, name, f"{killed} killed, nothing left"):
            before = leftovers.snapshot()  # count each leftover once


def points_in_source():
    """The points that the launcher's source names; empty where there is no source at hand."""
    found = set()
    for top in ("src/jail", "apps/jail"):
        for path in (airlock.ROOT / top).glob("*.cc"):
            found.update(
                re.findall(r'crash_point\("crash:(\w+)"\)', path.read_text(encoding="utf8"))
            )
    return found


def run_points(caller, tally):
    named = points_in_source()
    if named:
        odd = sorted(named ^ {*POINTS, *LAYER_POINTS})
        tally.say(
            not odd,
            "crash points are those of the launcher",
            f"{len(POINTS)} points" if not odd else f"only here or only there: {odd}",
        )
    if not outcomes.testhooks().exists():
        tally.say(False, "crash points", f"{outcomes.testhooks()} is missing")
        return
    before = leftovers.snapshot()
    for point in POINTS:
        env = {"AIRLOCK_JAIL": str(outcomes.testhooks()), "AIRLOCK_JAIL_TEST_CRASH": point}
        process = start(caller, f"sleep {RUN_MS}", "--disk 100m --memory 128m", env)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(20 * airlock.SLOW)
        if process.poll() is None:
            process.kill()
            process.wait()
            tally.say(False, f"crash point {point}", "airlock hangs")
            end_survivors()
            continue
        check_after(
            caller, before, tally, f"crash point {point}", f"airlock exits {process.returncode}"
        )


def run_all(caller, count, seed, tally):
    run_points(caller, tally)
    run_random(caller, count, random.randrange(2**32) if seed is None else seed, tally)


def main():
    import run as suite

    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--count", type=int, default=COUNT)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--as-user", type=int, default=None, metavar="UID")
    parser.add_argument("--points", action="store_true", help="the named points only")
    options = parser.parse_args()
    tally, caller = suite.Tally(), airlock.Caller(options.as_user)
    if options.points:
        run_points(caller, tally)
    else:
        run_all(caller, options.count, options.seed, tally)
    print(f"{tally.passed} passed, {tally.failed} failed")
    sys.exit(0 if tally.failed == 0 else 1)


if __name__ == "__main__":
    main()
