"""Counts what a run could leave behind: a difference that stays is a broken promise.

Things are compared by identity, not by number, and a new one counts only if it is still there after
a moment: other runs of airlock on the same machine come and go meanwhile.
"""

import os
import pathlib
import re
import time

SETTLE_SECONDS = 4.0 * float(os.environ.get("AIRLOCK_TEST_SLOW", "1"))
CGROUP_ROOT = pathlib.Path("/sys/fs/cgroup")
NAME = "airlock"
OURS = ("airlock", "airlock-daemon", "airlock-jail", "airlock-nest", "airlock-init",
        "airlock-jail-te")
# Outlive every run on purpose: the lock of the slots, the folders of skeletons, of workspaces, of
# layers and of the sockets of durable ones, and which skeleton was right last.
LASTING = ("slots", "roots", "last-root", "work", "jobs", "layers")
# So does the root of sandboxes, made once; one with a passing name does not.
SKELETON = re.compile(r"/root-[0-9a-f]{16}(/|$)")
# What a service with jobs keeps in its state directory.
KEPT = re.compile(r"^/var/lib/airlock/(service|files)(/|$)")
# What somebody else makes on this machine meanwhile, as a regular expression.
IGNORE = os.environ.get("AIRLOCK_LEFTOVERS_IGNORE", "")


def _read(path):
    try:
        return pathlib.Path(path).read_text(errors="replace")
    except OSError:
        return ""


def _pids():
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def processes():
    found = set()
    for pid in _pids():
        stat = _read(f"/proc/{pid}/stat")
        start, end = stat.find("("), stat.rfind(")")
        if start < 0:
            continue
        comm, fields = stat[start + 1 : end], stat[end + 2 :].split()
        if comm in OURS or comm.startswith("probe_"):
            found.add(("process", pid, comm, fields[19]))  # with its start time: pids are reused
    return found


def control_groups():
    found = set()
    for mount in [CGROUP_ROOT, *CGROUP_ROOT.glob("*")]:
        for top, folders, _ in os.walk(mount / NAME):
            found.update(("cgroup", os.path.join(top, folder)) for folder in folders)
    return found


def mounts():
    found = set()
    for line in _read("/proc/self/mountinfo").splitlines():
        fields = line.split()
        found.add(("mount", fields[0], fields[4]))
    return found


def loop_devices():
    found = set()
    for file in pathlib.Path("/sys/block").glob("loop*/loop/backing_file"):
        found.add(("loop", file.parent.parent.name, _read(file).strip()))
    return found


def namespaces():
    found = set()
    for pid in _pids():
        try:
            for kind in os.listdir(f"/proc/{pid}/ns"):
                found.add(("namespace", os.readlink(f"/proc/{pid}/ns/{kind}")))
        except OSError:
            continue
    return found


def _below(top, depth=3):
    for name in sorted(os.listdir(top)) if os.access(top, os.R_OK | os.X_OK) else []:
        path = os.path.join(top, name)
        yield path
        if depth > 0 and os.path.isdir(path) and not os.path.islink(path):
            yield from _below(path, depth - 1)


def temporary_files():
    tops = ["/run/airlock", "/var/lib/airlock", os.environ.get("XDG_RUNTIME_DIR", "") + "/airlock"]
    tops += [str(p) for p in pathlib.Path("/tmp").glob("airlock*")]
    tops += [str(p) for p in pathlib.Path("/var/tmp").glob("airlock*")]
    found = set()
    for top in tops:
        found.update(
            ("file", path) for path in _below(top)
            if os.path.basename(path) not in LASTING
            and not SKELETON.search(path) and not KEPT.search(path)
        )
    for top in ("/dev/shm", "/tmp", "/var/tmp"):
        for name in os.listdir(top) if os.path.isdir(top) else []:
            if name.startswith((NAME, "." + NAME)) and not re.fullmatch(r"airlock-\d+", name):
                found.add(("file", os.path.join(top, name)))
    return found


def listening_sockets():
    found = set()
    for kind in ("tcp", "tcp6"):
        for line in _read(f"/proc/net/{kind}").splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A":
                found.add(("listener", kind, fields[1]))
    for line in _read("/proc/net/unix").splitlines()[1:]:
        fields = line.split()
        if len(fields) > 7 and fields[3] == "00010000" and NAME in fields[7]:
            found.add(("listener", "unix", fields[7]))
    return found


KINDS = (
    processes,
    control_groups,
    mounts,
    loop_devices,
    namespaces,
    temporary_files,
    listening_sockets,
)


def snapshot():
    found = set()
    for kind in KINDS:
        found |= kind()
    return found


def remaining(before, settle_seconds=SETTLE_SECONDS):
    """What is there now, was not there before, and does not go away."""
    new = snapshot() - before
    until = time.monotonic() + settle_seconds
    while new and time.monotonic() < until:
        time.sleep(0.1)
        new &= snapshot()
    return sorted(text for text in map(str, new) if not (IGNORE and re.search(IGNORE, text)))


def counts(found):
    """How many of each kind, for a line in a log."""
    return {kind.__name__: sum(1 for item in found if item in kind()) for kind in KINDS}
