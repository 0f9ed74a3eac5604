"""Kinds of probes that need something around the run: streams, a terminal, a second sandbox."""

import base64
import contextlib
import ctypes
import fcntl
import hashlib
import json
import os
import pty
import select
import subprocess
import sys
import termios
import threading
import time

from judging import (
    Said,
    control_command,
    copy_probe,
    find_verdict,
    judge,
    run_inside,
    run_outside,
    scratch,
)
from support import airlock
from support.hostside import SECRET

READY_SECONDS = 15 * airlock.SLOW


# --- streams --------------------------------------------------------------------------------------


def leaked_fd_inside(context, probe):
    with _leaking() as fds:
        command = airlock.command_line(airlock.probe_binary(probe.domain), probe.call)
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=60 * airlock.SLOW,
            cwd="/",
            pass_fds=fds,
            check=False,
            env=context.caller.environment(),
            **context.caller.popen_options(),
        )
    run = airlock.Run(command, done.returncode, done.stdout, done.stderr, 0)
    with contextlib.suppress(ValueError):
        run.result = json.loads(done.stdout)
    return judge(probe, run)


@contextlib.contextmanager
def _leaking():
    """A directory and a file of the host, held by the caller without close-on-exec."""
    fds = [os.open("/", os.O_RDONLY | os.O_DIRECTORY), os.open("/etc/passwd", os.O_RDONLY)]
    high = fcntl.fcntl(fds[0], fcntl.F_DUPFD, 500)
    try:
        yield (*fds, high)
    finally:
        for fd in (*fds, high):
            os.close(fd)


def leaked_fd_control(context, probe):
    with _leaking() as fds, scratch() as cwd:
        return run_outside(control_command(context, probe), cwd, pass_fds=fds)


def _host_file(directory, caller):
    path = directory / "file"
    path.write_text(SECRET + "\n" + "x" * 100)
    path.chmod(0o666)
    if caller.uid is not None:
        os.chown(path, caller.uid, caller.uid)
    return path


def stdin_inside(context, probe):
    with scratch(context.caller) as top:
        path = _host_file(top, context.caller)
        before = path.read_bytes()
        with open(path, "r+b") as stdin:
            said = judge(probe, run_inside(context, probe, stdin=stdin))
        if path.read_bytes() != before:
            return Said("ESCAPED", "the file of the host was changed")
        return said


def stdin_control(context, probe):
    with scratch() as top:
        path = _host_file(top, context.caller)
        with open(path, "r+b") as stdin:
            return run_outside(control_command(context, probe), top, stdin=stdin)


def _stdout_to_file(command, top, caller, **more):
    path = _host_file(top, caller)
    with open(path, "ab") as out:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.PIPE,
            timeout=60 * airlock.SLOW,
            check=False,
            **more,
        )
    return find_verdict(done.stderr.decode("utf8", "replace")) or Said(
        "FAILED", f"no verdict, exit {done.returncode}: {airlock.tail(done.stderr)}"
    )


def stdout_read_inside(context, probe):
    with scratch(context.caller) as top:
        command = airlock.command_line(
            airlock.probe_binary(probe.domain), probe.call, json_result=False
        )
        return _stdout_to_file(
            command,
            top,
            context.caller,
            cwd="/",
            env=context.caller.environment(),
            **context.caller.popen_options(),
        )


def stdout_read_control(context, probe):
    with scratch() as top:
        return _stdout_to_file(control_command(context, probe), top, context.caller, cwd=top)


def _digest(path):
    return hashlib.sha256(path.read_bytes()).digest()


def overwrite_self_inside(context, probe):
    with scratch(context.caller) as top:
        program = copy_probe(probe, top, context)
        before = _digest(program)
        done = run_inside(context, probe, program=program)
        if _digest(program) != before:
            return Said("ESCAPED", "the program on the host was overwritten")
        if done.broken or done.outcome != "exited":
            return Said("FAILED", done.describe())
        return Said("CONTAINED", "the host's file is unchanged")


def overwrite_self_control(context, probe):
    with scratch() as top:
        program = copy_probe(probe, top, context)
        before = _digest(program)
        run_outside([str(program), *probe.call], top)
        changed = _digest(program) != before
    return (
        Said("ESCAPED", "the program was overwritten")
        if changed
        else Said("CONTAINED", "unchanged")
    )


def bad_bytes_inside(context, probe):
    done = run_inside(context, probe)
    if done.broken or done.outcome != "exited":
        return Said("ESCAPED" if "JSON" in done.broken else "FAILED", done.describe())
    text = done.result["stdout"]
    base64_used = done.result.get("encoding") == "base64"
    got = base64.b64decode(text) if base64_used else text.encode("utf8", "surrogateescape")
    if got != bytes(range(256)):
        return Said("FAILED", f"the bytes did not survive: {text[:80]!r}")
    return Said("CONTAINED", "every byte survived in valid JSON")


def bad_bytes_control(_context, _probe):
    try:
        json.dumps(bytes(range(256)).decode("utf8"))
    except UnicodeDecodeError:
        return Said("ESCAPED", "a careless encoder fails")
    return Said("CONTAINED", "encoded")


# --- requests that are too large ------------------------------------------------------------------


def _refused(done):
    if done.returncode in (airlock.USAGE_ERROR, airlock.HOST_ERROR) and done.stderr.strip():
        return Said("CONTAINED", f"refused: {airlock.tail(done.stderr, 100)}")
    said = find_verdict(done.program_stdout)
    return said or Said("FAILED", f"neither refused nor run: {done.describe()}")


def huge_arguments_inside(context, probe):
    done = run_inside(context, probe, call=[*probe.call, *["a" * 999] * 200])
    return _refused(done)


def huge_environment_inside(context, probe):
    options = [word for i in range(200) for word in ("--env", f"K{i}=" + "e" * 990)]
    return _refused(run_inside(context, probe, options=options))


def huge_control(context, probe):
    with scratch() as cwd:
        return run_outside([*control_command(context, probe), *["a" * 999] * 200], cwd)


# --- what another does meanwhile ------------------------------------------------------------------


@contextlib.contextmanager
def _holder(command, **more):
    """A process that says READY when it holds what it should, until its stdin is closed."""
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **more
    )
    try:
        ready = select.select([process.stdout], [], [], READY_SECONDS)[0]
        yield (os.read(process.stdout.fileno(), 200) if ready else b"").decode()
    finally:
        process.stdin.close()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _across(context, probe, hold, other, judge_it):
    with _holder(hold, **other) as first:
        if "CONTAINED" in first:
            return Said("CONTAINED", "a lock cannot even be taken: " + first.strip())
        if "READY" not in first:
            return Said("FAILED", f"the first sandbox did not hold the lock: {first!r}")
        return judge_it()


def across_inside(hold_name):
    def inside(context, probe):
        path = context.host.fill(probe.call)[1]
        hold = airlock.command_line(
            airlock.probe_binary("ipc"), [hold_name, path], json_result=False
        )
        other = {"cwd": "/", "env": context.caller.environment(), **context.caller.popen_options()}
        return _across(
            context, probe, hold, other, lambda: judge(probe, run_inside(context, probe))
        )

    return inside


def across_control(hold_name):
    def control(context, probe):
        hold = [str(airlock.probe_binary("ipc")), hold_name, context.host.fill(probe.call)[1]]
        return _across(
            context, probe, hold, {}, lambda: run_outside(control_command(context, probe), "/")
        )

    return control


def _host_gets_an_instance():
    libc = ctypes.CDLL(None, use_errno=True)
    fd = libc.inotify_init1(os.O_CLOEXEC)
    if fd < 0:
        return False
    os.close(fd)
    return True


def starve_inside(context, probe):
    """While a guest holds all the inotify instances it can get, the host must still get one."""
    hold = airlock.command_line(airlock.probe_binary(probe.domain), probe.call, json_result=False)
    other = {"cwd": "/", "env": context.caller.environment(), **context.caller.popen_options()}
    with _holder(hold, **other) as first:
        if "READY" not in first:
            return Said("FAILED", f"the guest did not start: {first!r}")
        if not _host_gets_an_instance():
            return Said(
                "ESCAPED",
                f"the host gets no inotify instance while a guest holds {first[6:].strip()}",
            )
        again = run_inside(context, probe, call=["instances", "5"])
        said = find_verdict(again.program_stdout)
        if said is None or not said.escaped:
            return Said("ESCAPED", f"another sandbox gets no instance: {again.describe()}")
    return Said("CONTAINED", "the host and another sandbox still get theirs")


@contextlib.contextmanager
def _opening(path):
    """Opens a file of the host again and again, as a user of the host would."""
    stop = threading.Event()

    def loop():
        while not stop.wait(0.02):
            with open(path, "rb") as file:
                file.read(1)

    thread = threading.Thread(target=loop, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def watch_inside(context, probe):
    with _opening(context.host.values["shared_file"]):
        return judge(probe, run_inside(context, probe))


def watch_control(context, probe):
    with _opening(context.host.values["shared_file"]):
        return run_outside(control_command(context, probe), "/")


# --- a terminal -----------------------------------------------------------------------------------


def run_in_terminal(make_command, caller=airlock.Caller(), seconds=20 * airlock.SLOW):
    """Runs a command as the foreground of a terminal of its own; gives back what appeared there."""
    master, slave = pty.openpty()
    extra = pty.openpty()  # another terminal that a probe could find
    info = os.fstat(slave)
    command = make_command(f"{info.st_ino}:{info.st_dev}")
    if caller.uid is not None:
        os.fchown(slave, caller.uid, -1)

    def become_foreground():
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    process = subprocess.Popen(
        command,
        stdin=slave,
        stdout=slave,
        stderr=slave,
        cwd="/tmp",
        start_new_session=True,
        preexec_fn=become_foreground,
        env=caller.environment(),
        **caller.popen_options(),
    )
    os.close(slave)
    text, until = b"", time.monotonic() + seconds
    while time.monotonic() < until:
        if select.select([master], [], [], 0.1)[0]:
            try:
                data = os.read(master, 65536)
            except OSError:
                break
            if not data:
                break
            text += data
        elif process.poll() is not None:
            break
    process.kill()
    process.wait()
    for fd in (master, *extra):
        os.close(fd)
    return text.decode("utf8", "replace").replace("\r\n", "\n")


def _terminal_verdict(text):
    said = find_verdict(text) or Said("FAILED", f"no verdict on the terminal: {text[-200:]!r}")
    if said.contained and "typed-by-the-guest" in text:
        return Said("ESCAPED", "what the guest typed appeared on the host's terminal")
    return said


def terminal_inside(context, probe):
    def command(terminal):
        call = context.host.fill(probe.call, terminal=terminal)
        return airlock.command_line(airlock.probe_binary(probe.domain), call, json_result=False)

    return _terminal_verdict(run_in_terminal(command, context.caller))


def terminal_control(context, probe):
    return _terminal_verdict(
        run_in_terminal(lambda terminal: control_command(context, probe, terminal=terminal))
    )


def message_escapes_inside(context, _probe):
    evil = "\x1b]0;taken\x07\x1b[2J"
    texts = []
    for program in (f"/no/such/{evil}.py", f"/no/such/{evil}"):
        done = airlock.run(program, caller=context.caller, json_result=False)
        if done.returncode == 0:
            return Said("FAILED", f"a program that is not there ran: {done.describe()}")
        texts.append(done.stderr)
    done = airlock.run(
        airlock.probe_binary("outcomes"),
        ["exit", "0"],
        ["--language", evil],
        caller=context.caller,
        json_result=False,
    )
    texts.append(done.stderr)
    if any(b"\x1b" in text or b"\x07" in text for text in texts):
        return Said("ESCAPED", "airlock printed an escape sequence that it was given")
    return Said("CONTAINED", "escapes are stripped from messages")


def message_escapes_control(_context, _probe):
    evil = "/no/such/\x1b]0;taken\x07"
    done = subprocess.run(
        [sys.executable, "-c", "import sys; sys.exit('cannot open ' + sys.argv[1])", evil],
        capture_output=True,
        check=False,
    )
    if b"\x1b" in done.stderr:
        return Said("ESCAPED", "a program that quotes a name as it is passes the escape on")
    return Said("CONTAINED", "escapes do not pass")
