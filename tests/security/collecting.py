"""Judging what arrives where outputs are collected, and a careless collector as the control."""

import os
import pathlib
import shutil
import stat
import subprocess
import unicodedata

from judging import (
    Said,
    control_command,
    end_processes_named,
    marker,
    processes_named,
    run_inside,
    scratch,
)
from support import airlock
from support.hostside import SECRET

FILES_MAX = 10_000
DEPTH_MAX = 64
PATH_BYTES_MAX = 1024
FILE_BYTES_MAX = 1 << 30
FORBIDDEN_TEXTS = (SECRET.encode(), b"root:", b"Name:\t")
NAIVE_ROUNDS = 400


def bad_name(name):
    """Why a file name must not be passed on, or None."""
    try:
        text = name.decode("utf8")
    except UnicodeDecodeError:
        return "name is not UTF-8"
    if any(unicodedata.category(c) == "Cc" for c in text):
        return "name with control characters"
    return None


def bad_entry(path, relative):
    """Why one thing that was collected should not be there, or None."""
    info = os.lstat(path)
    if stat.S_ISLNK(info.st_mode):
        return "a symbolic link"
    if not stat.S_ISREG(info.st_mode) and not stat.S_ISDIR(info.st_mode):
        return "neither file nor directory"
    if info.st_mode & 0o6000:
        return "a setuid or setgid bit"
    if len(relative) > PATH_BYTES_MAX or relative.count(b"/") >= DEPTH_MAX:
        return "a path that is too long or too deep"
    if stat.S_ISREG(info.st_mode):
        if info.st_size > FILE_BYTES_MAX:
            return f"{info.st_size} bytes"
        with open(path, "rb") as file:
            head = file.read(4096)
        if any(text in head for text in FORBIDDEN_TEXTS):
            return "a file of the host"
    return bad_name(os.path.basename(path))


def violations(directory):
    found, files = [], 0
    top = os.fsencode(directory)
    for folder, folders, names in os.walk(top):
        files += len(names)
        for name in folders + names:
            path = os.path.join(folder, name)
            relative = os.path.relpath(path, top)
            why = bad_entry(path, relative)
            if why:
                found.append(f"{relative[:60]!r}: {why}")
    if files > FILES_MAX:
        found.append(f"{files} files")
    return found


def naive_problems(directory):
    """What a collector that follows paths and trusts names would give out or stumble over."""
    found, files = [], 0
    for folder, folders, names in os.walk(os.fsencode(directory), followlinks=False):
        files += len(names)
        for name in folders + names:
            path = os.path.join(folder, name)
            why = bad_name(name)
            if why is None and b"\\" in name:
                why = "a name with separators of another system"
            if why is None and len(path) > PATH_BYTES_MAX:
                why = "longer than a path may be"
            why = why or _naive_open(path)
            if why:
                found.append(f"{name[:40]!r}: {why}")
    if files > FILES_MAX:
        found.append(f"{files} files")
    if os.fsencode(directory).count(b"/") and _depth(directory) > DEPTH_MAX:
        found.append("deeper than a path")
    return found


def _depth(directory):
    done = subprocess.run(
        ["find", str(directory), "-printf", "%d\n"], stdout=subprocess.PIPE, check=False
    )
    return max((int(line) for line in done.stdout.split()), default=0)


def _naive_open(path):
    try:
        info = os.stat(path)
    except OSError as error:
        return f"cannot be followed: {error.strerror}"
    if os.path.islink(path) and stat.S_ISDIR(info.st_mode):
        return "leads into a directory elsewhere"
    if not stat.S_ISREG(info.st_mode) and not stat.S_ISDIR(info.st_mode):
        return "opening it could block or act on a device"
    if info.st_mode & 0o6000:
        return "keeps its setuid bit"
    if not info.st_mode & 0o400:
        return "cannot be read without privilege"
    if stat.S_ISREG(info.st_mode):
        if info.st_size > FILE_BYTES_MAX:
            return f"would copy {info.st_size} bytes"
        with open(path, "rb") as file:
            head = file.read(4096)
        if any(text in head for text in FORBIDDEN_TEXTS):
            return "gives out a file of the host"
    return None


def collect_inside(context, probe):
    name = marker()
    with scratch(context.caller) as top:
        out = top / "out"
        out.mkdir()
        if context.caller.uid is not None:
            os.chown(out, context.caller.uid, context.caller.uid)
        call = context.host.fill(probe.call, output="/output", marker=name)
        done = run_inside(context, probe, call=call, options=("--output", out), timeout_seconds=60)
        left = processes_named(name)
        end_processes_named(name)
        if done.broken or done.outcome != "exited":
            return Said("FAILED", done.describe())
        if done.result["exit_code"] != 0 or "PLACED" not in done.program_stdout:
            return Said("FAILED", f"the attack was not placed: {done.describe()}")
        problems = violations(out) + [f"process {pid} lives on" for pid in left]
        if problems:
            return Said("ESCAPED", "; ".join(problems[:3]))
        many = probe.call[0] in ("many", "replace")
        good = out / "good.txt"
        if not many and (not good.is_file() or good.read_bytes() != b"good\n"):
            return Said(
                "FAILED",
                f"the honest file was not collected: {sorted(os.listdir(out))[:5]}, "
                f"{airlock.tail(done.stderr)}",
            )
        if done.returncode != 0:
            return Said("FAILED", f"airlock exits {done.returncode}: {airlock.tail(done.stderr)}")
        return Said("CONTAINED", done.program_stdout.strip()[-80:])


def collect_control(context, probe):
    name = marker()
    with scratch() as top:
        out = top / "out"
        out.mkdir()
        secret = top / "secret"
        secret.write_text(SECRET)
        command = control_command(
            context, probe, output=str(out), output_secret=str(secret), marker=name
        )
        subprocess.run(
            command, cwd=top, stdout=subprocess.DEVNULL, timeout=60 * airlock.SLOW, check=False
        )
        problems = []
        for _ in range(NAIVE_ROUNDS if probe.call[0] == "swap" else 1):
            problems = problems or naive_problems(out)
        end_processes_named(name)
        shutil.rmtree(pathlib.Path(f"{out}.aside"), ignore_errors=True)
    return (
        Said("ESCAPED", problems[0])
        if problems
        else Said("CONTAINED", "a careless collector is safe")
    )
