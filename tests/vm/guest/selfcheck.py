#!/usr/bin/env python3
"""Checks that the test machine is the machine the suites are meant for.

Run as root it tries the kernel features that Airlock uses on cgroup v2; run as the ordinary user
it tries those of a rootless sandbox. It does not touch Airlock. A `fact` line states something that
is neither right nor wrong here, so that a reader of the log knows what was and was not tested.
"""

import errno
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time

import kernel_calls

CGROUP = pathlib.Path("/sys/fs/cgroup")
STATE = pathlib.Path("/var/lib/airlock")
DELEGATED = CGROUP / "user.slice/user-1000.slice/user@1000.service"
MIB = 1 << 20
NOBODY = 65534


def fork_in(cgroup, body):
    """Runs `body` in a child that is in `cgroup` from its first instruction of Python on."""
    child = os.fork()
    if child == 0:
        try:
            (cgroup / "cgroup.procs").write_text("0")
            body()
            os._exit(0)
        except OSError as error:
            os._exit(error.errno)
    return child


def status_of(child):
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


class TemporaryCgroup:
    """A cgroup below `parent` that is emptied and removed at the end of its `with`."""

    def __init__(self, parent, settings=None):
        self.path = parent / f"selfcheck-{os.getpid()}"
        self.settings = settings or {}

    def __enter__(self):
        self.path.mkdir()
        for name, value in self.settings.items():
            (self.path / name).write_text(str(value))
        return self.path

    def __exit__(self, *_):
        (self.path / "cgroup.kill").write_text("1")
        deadline = time.monotonic() + 5
        while "populated 1" in (self.path / "cgroup.events").read_text():
            assert time.monotonic() < deadline, "the cgroup did not become empty"
            time.sleep(0.01)
        self.path.rmdir()


def cgroup_v2_is_alone():
    kinds = {line.split()[2] for line in pathlib.Path("/proc/mounts").read_text().splitlines()}
    assert "cgroup2" in kinds and "cgroup" not in kinds, f"mounted: {sorted(kinds)}"


def controllers_are_handed_down():
    controllers = (CGROUP / "cgroup.subtree_control").read_text().split()
    assert {"memory", "pids", "cpu"} <= set(controllers), f"only {controllers}"


def memory_limit_kills_the_group(parent=CGROUP):
    settings = {"memory.max": 32 * MIB, "memory.oom.group": 1}
    with TemporaryCgroup(parent, settings) as cgroup:
        status = status_of(fork_in(cgroup, lambda: bytearray(128 * MIB)))
        assert status == -signal.SIGKILL, f"status {status}"
        events = (cgroup / "memory.events").read_text().split()
        assert int(events[events.index("oom_kill") + 1]) >= 1, events
        # memory.peak came with 5.19, so its absence would mean a kernel older than meant.
        assert (cgroup / "memory.peak").exists(), "no memory.peak"


def pids_limit_refuses_fork(parent=CGROUP):
    with TemporaryCgroup(parent, {"pids.max": 1}) as cgroup:
        status = status_of(fork_in(cgroup, os.fork))
        assert status == errno.EAGAIN, f"status {status}"


def cgroup_kill_ends_a_family(parent=CGROUP):
    def family():
        os.fork()
        os.fork()
        signal.pause()

    with TemporaryCgroup(parent) as cgroup:
        child = fork_in(cgroup, family)
        deadline = time.monotonic() + 10
        while len((cgroup / "cgroup.procs").read_text().split()) < 4:
            assert time.monotonic() < deadline, "the family did not come up"
            time.sleep(0.01)
        (cgroup / "cgroup.kill").write_text("1")
        assert status_of(child) == -signal.SIGKILL


def cpu_rate_can_be_limited(parent=CGROUP):
    with TemporaryCgroup(parent, {"cpu.max": "20000 100000"}) as cgroup:
        child = fork_in(cgroup, lambda: burn_until(time.monotonic() + 1))
        assert status_of(child) == 0
        stat = (cgroup / "cpu.stat").read_text().split()
        assert int(stat[stat.index("nr_throttled") + 1]) > 0, stat


def burn_until(deadline):
    while time.monotonic() < deadline:
        pass


def project_quota_holds():
    with tempfile.TemporaryDirectory(dir=STATE) as name:
        kernel_calls.set_project(name, 4711)
        kernel_calls.limit_project(name, 4711, 4 * MIB, 10)
        os.chmod(name, 0o777)
        free = os.statvfs(name)
        assert free.f_blocks * free.f_frsize == 4 * MIB, "statvfs does not show the project's limit"
        child = os.fork()
        if child == 0:
            os.setuid(NOBODY)
            os._exit(fill(name))
        status = status_of(child)
        assert status in (errno.EDQUOT, errno.ENOSPC), f"status {status}"
        print(f"fact: over a project quota, ext4 says {errno.errorcode[status]}")
        used = sum(entry.stat().st_blocks * 512 for entry in pathlib.Path(name).iterdir())
        assert 3 * MIB < used <= 4 * MIB, f"{used} bytes were written"
    kernel_calls.limit_project(STATE, 4711, 0, 0)


def fill(folder):
    try:
        with open(f"{folder}/big", "wb", buffering=0) as file:
            for _ in range(8):
                file.write(bytes(MIB))
    except OSError as error:
        return error.errno
    return 0


def loop_device_carries_ext4():
    with tempfile.TemporaryDirectory(dir=STATE) as name:
        image, point = pathlib.Path(name, "image"), pathlib.Path(name, "point")
        point.mkdir()
        with open(image, "wb") as file:
            file.truncate(8 * MIB)
        subprocess.run(["mke2fs", "-q", "-t", "ext4", image], check=True)
        subprocess.run(["mount", "-o", "loop", image, point], check=True)
        subprocess.run(["umount", point], check=True)


def overlay_mounts():
    with tempfile.TemporaryDirectory(dir=STATE) as name:
        for part in ("lower", "upper", "work", "point"):
            os.mkdir(f"{name}/{part}")
        options = f"lowerdir={name}/lower,upperdir={name}/upper,workdir={name}/work"
        subprocess.run(["mount", "-t", "overlay", "overlay", "-o", options, f"{name}/point"],
                       check=True)
        subprocess.run(["umount", f"{name}/point"], check=True)


def seccomp_notifies():
    getpgrp_number = 111
    child = os.fork()
    if child == 0:
        listener = kernel_calls.listen_for(getpgrp_number)
        caller = os.fork()
        if caller == 0:
            os._exit(0 if os.getpgrp() == 123456 else 1)
        kernel_calls.answer_one(listener, 123456)
        os._exit(status_of(caller))
    status = status_of(child)
    assert status == 0, f"status {status}"


def landlock_is_there():
    abi = kernel_calls.landlock_abi()
    print(f"fact: Landlock ABI {abi}")
    assert abi >= 1


def core_scheduling():
    """A fact and not a check: it depends on how the kernel was built."""
    try:
        return f"yes, this process has cookie {kernel_calls.core_scheduling_cookie()}"
    except OSError as error:
        return f"no ({errno.errorcode[error.errno]})"


def user_is_ordinary():
    assert os.getuid() == 1000 and 0 not in os.getgroups()
    capabilities = pathlib.Path("/proc/self/status").read_text().split("CapEff:")[1].split()[0]
    assert int(capabilities, 16) == 0, capabilities


def user_namespace_mounts_tmpfs():
    subprocess.run(["unshare", "--user", "--map-root-user", "--mount", "--pid", "--net", "--ipc",
                    "--uts", "--cgroup", "--fork", "mount", "-t", "tmpfs", "tmpfs", "/mnt"],
                   check=True)


def subordinate_ids_can_be_mapped():
    maps = subprocess.run(["unshare", "--user", "--map-auto", "--map-root-user", "cat",
                           "/proc/self/uid_map"], check=True, capture_output=True, text=True).stdout
    mapped = sum(int(line.split()[2]) for line in maps.splitlines())
    assert mapped == 1 << 16, maps


def foreign_cgroups_are_closed():
    try:
        (CGROUP / "selfcheck-foreign").mkdir()
    except PermissionError:
        return
    raise AssertionError("the ordinary user could make a cgroup at the root")


def in_delegated(check):
    def delegated():
        service = (DELEGATED / "cgroup.subtree_control")
        service.write_text("+memory +pids +cpu")
        check(DELEGATED)
    delegated.__name__ = check.__name__ + "_where_delegated"
    return delegated


ROOT_CHECKS = (cgroup_v2_is_alone, controllers_are_handed_down, memory_limit_kills_the_group,
               pids_limit_refuses_fork, cgroup_kill_ends_a_family, cpu_rate_can_be_limited,
               project_quota_holds, loop_device_carries_ext4, overlay_mounts, seccomp_notifies,
               landlock_is_there)
USER_CHECKS = (user_is_ordinary, foreign_cgroups_are_closed, user_namespace_mounts_tmpfs,
               subordinate_ids_can_be_mapped, in_delegated(memory_limit_kills_the_group),
               in_delegated(pids_limit_refuses_fork), in_delegated(cgroup_kill_ends_a_family),
               seccomp_notifies, landlock_is_there)


def main():
    print(f"fact: Linux {os.uname().release}, {os.cpu_count()} processors, "
          f"umask {os.umask(0o022):03o}")
    print(f"fact: core scheduling: {core_scheduling()}")
    passed = failed = 0
    for check in ROOT_CHECKS if os.getuid() == 0 else USER_CHECKS:
        began = time.monotonic()
        try:
            check()
        except (AssertionError, OSError, subprocess.SubprocessError) as error:
            failed += 1
            print(f"FAILED {check.__name__}: {error}")
            continue
        passed += 1
        print(f"ok {check.__name__} ({time.monotonic() - began:.2f} s)")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


sys.exit(main())
