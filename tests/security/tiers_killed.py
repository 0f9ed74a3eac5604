"""In a container: whoever of a run is killed with SIGKILL, and whenever, its program ends soon."""

import contextlib
import os
import pathlib
import signal
import subprocess
import time

import judging
from support import airlock

SECONDS = 8 * airlock.SLOW
NAP = "4712.5"
EARLY_ENDS = 30
# Leaves a process in a session of its own that is deaf to what can be ignored.
PROGRAM = (
    "import os, signal, time\n"
    "if os.fork() == 0:\n"
    "    os.setsid()\n"
    "    for n in (1, 2, 15):\n"
    "        signal.signal(n, signal.SIG_IGN)\n"
    f"    os.execvp('sleep', ['sleep', '{NAP}'])\n"
    "time.sleep(60)\n"
)


def _children(pid):
    found = []
    for entry in os.listdir("/proc"):
        with contextlib.suppress(OSError, ValueError, IndexError):
            if entry.isdigit():
                text = pathlib.Path(f"/proc/{entry}/stat").read_text()
                if int(text[text.rindex(")") + 2 :].split()[1]) == pid:
                    found.append(int(entry))
    return found


def _until(condition):
    until = time.monotonic() + SECONDS
    while not condition():
        if time.monotonic() > until:
            return False
        time.sleep(0.02)
    return True


def _try_kill(who):
    """(good, text) after `who` of a run was killed: caller, launcher or init."""
    path = pathlib.Path("/tmp/killed.py")
    path.write_text(PROGRAM)
    run = subprocess.Popen(
        [str(airlock.binary()), "run", str(path)],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )
    try:
        if not _until(lambda: judging.processes_named(NAP)):
            return False, "the program did not start"
        launchers = _children(run.pid)
        victims = {"caller": [run.pid], "launcher": launchers,
                   "init": [p for launcher in launchers for p in _children(launcher)]}[who]
        if not victims:
            return False, f"no {who} was found"
        for pid in victims:
            os.kill(pid, signal.SIGKILL)
        ended = _until(lambda: not judging.processes_named(NAP))
        return ended, f"killed {victims}, left {judging.processes_named(NAP)}"
    finally:
        run.kill()
        run.wait()
        judging.end_processes_named(NAP)


def _try_early_ends():
    """(good, text) of runs with another disk than the launcher expects: each kills the init that it
    has begun for the expected one, at whatever step that is."""
    for number in range(EARLY_ENDS):
        done = airlock.run("/usr/bin/true", options=["--disk", "16m"])
        if done.outcome != "exited":
            return False, f"{number + 1}: {done.describe()}"
    return True, f"{EARLY_ENDS} ended"


def results():
    """(good, name, text) of each."""
    for who in ("caller", "launcher", "init"):
        good, text = _try_kill(who)
        yield good, f"the program ends when its {who} is killed", text
    good, text = _try_early_ends()
    yield good, "an init can be killed while it begins", text
