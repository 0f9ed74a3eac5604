"""The launcher's protocol, spoken from outside: just enough to play a caller, honest or not.

Mirrors src/jail/wire.h: a packet is a header (magic, type, number of descriptors) and fields in
order; strings carry their length and a NUL; a list its count, its bytes and those.
"""

import array
import contextlib
import os
import pathlib
import socket
import struct
import subprocess

from support import airlock

MAGIC = 0x324B4C41
TYPES = (
    "none OpenWorkspace CreateSandbox DestroySandbox PutFile Exec Collect CollectedFile "
    "RefusedFile CollectDone Signal Terminate Kill Terminal Report ViewSetup WorkspaceSetup "
    "ExecSetup Confine InitReady InitExited InitPutDone InitSignal WorkspaceMount Starting "
    "StartFailed AdoptWorkspace DiscardWorkspace ListWorkspaces WorkspaceNames WorkspaceAnswer "
    "Adopted AdoptedProcess ForgetProcess EndWorkspace "
    "Listen Listener "
    "Bind KeepLayer LayerKept ReadTree TreeEntry TreeDone LayerOrder LayerListed "
    "LayersDone "
).split()
NUMBER = {name: number for number, name in enumerate(TYPES)}
MESSAGE_BYTES_MAX = 128 * 1024
REPORT_SECONDS = 20 * airlock.SLOW


def header(name, fds=0, magic=MAGIC):
    return struct.pack("<IHH", magic, NUMBER[name] if isinstance(name, str) else name, fds)


def text(value):
    data = value if isinstance(value, bytes) else value.encode()
    return struct.pack("<I", len(data)) + data + b"\0"


def items(values):
    data = b"".join((v if isinstance(v, bytes) else v.encode()) + b"\0" for v in values)
    return struct.pack("<II", len(values), len(data)) + data


def open_workspace(disk=16 << 20, inodes=4096, memory=256 << 20, reusable=False, name=""):
    sizes = struct.pack("<QIQB", disk, inodes, memory, reusable)
    return header("OpenWorkspace", 1) + sizes + text(name)


def named(kind, name):
    """AdoptWorkspace or DiscardWorkspace, which come with a channel."""
    return header(kind, 1) + text(name)


def create_sandbox(profile="default", layer="", folders=(), devices=(), read_only=False, image=""):
    return (header("CreateSandbox") + text(profile) + text(layer) + items(folders) + items(devices)
            + struct.pack("<B", read_only) + text(image))


def keep_layer(name):
    return header("KeepLayer") + text(name)


def layer_order(verb, name=""):
    """`verb`: 1 lists, 2 finds, 3 removes."""
    return header("LayerOrder") + struct.pack("<B", verb) + text(name)


def put_file(path, executable=True, fds=1):
    return header("PutFile", fds) + text(path) + struct.pack("<B", executable)


def execute(
    argv,
    cwd="/workspace",
    env=(),
    wall=5000,
    cpu=5000,
    memory=64 << 20,
    pids=16,
    rate=0,
    files=256,
    use_rlimits=False,
    terminal=False,
    number=0,
    fds=4,
    tag="",
    log_bytes=0,
):
    return (
        header("Exec", fds)
        + struct.pack("<IBBQQQIII", number, terminal, False, wall, cpu, memory, pids, rate, files)
        + struct.pack("<B", use_rlimits)
        + text(cwd)
        + items(argv)
        + items(env)
        + text(tag)
        + struct.pack("<Q", log_bytes)
    )


def collect(directory="output", patterns=("**",), files=100, file_bytes=1 << 20, total=1 << 24):
    return (
        header("Collect")
        + text(directory)
        + items(patterns)
        + struct.pack("<IQQ", files, file_bytes, total)
    )


def kind_of(packet):
    number = struct.unpack_from("<IHH", packet)[1] if len(packet) >= 8 else 0
    return TYPES[number] if number < len(TYPES) else f"type {number}"


def parse_report(packet):
    names = ("stage", "stage_errno", "kill_reason", "has_exit_status", "wait_status", "oom_kills")
    return dict(zip(names, struct.unpack_from("<HiBBiQ", packet, 8)))


def send(channel, packet, fds=()):
    """False when the other side has closed."""
    control = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
    try:
        channel.sendmsg([packet], control, socket.MSG_NOSIGNAL)
        return True
    except OSError:
        return False


def receive(channel, seconds=REPORT_SECONDS):
    """(packet, descriptors); an empty packet when closed or silent for too long."""
    channel.settimeout(seconds)
    try:
        data, control, _, _ = channel.recvmsg(MESSAGE_BYTES_MAX + 4096, socket.CMSG_SPACE(16 * 4))
    except OSError:
        return b"", []
    fds = array.array("i")
    for level, kind, payload in control:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            fds.frombytes(payload[: len(payload) - len(payload) % 4])
    return data, list(fds)


def pair():
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def answer_of(said):
    """The kind of an answer, and the errno of a WorkspaceAnswer."""
    kind = kind_of(said)
    return kind, struct.unpack_from("<i", said, 8)[0] if kind == "WorkspaceAnswer" else 0


class Launcher:
    """airlock-jail with us as its caller."""

    def __init__(self, caller, run_directory=None, state_directory=None):
        ours, theirs = pair()
        program = pathlib.Path(
            os.environ.get("AIRLOCK_JAIL", airlock.binary().parent / "airlock-jail")
        )
        options = ["--run-dir", run_directory] if run_directory else []
        options += ["--state-dir", state_directory] if state_directory else []
        self.control = ours
        self.process = subprocess.Popen(
            [program, "--control-fd", str(theirs.fileno()), *options],
            pass_fds=[theirs.fileno()],
            cwd="/",
            stderr=subprocess.PIPE,
            env=caller.environment(),
            **caller.popen_options(),
        )
        theirs.close()

    def open(self, **request):
        ours, theirs = pair()
        send(self.control, open_workspace(**request), [theirs.fileno()])
        theirs.close()
        return ours

    def ask(self, packet):
        """Sends a request that is answered; gives back the channel for the answer."""
        ours, theirs = pair()
        send(self.control, packet, [theirs.fileno()])
        theirs.close()
        return ours

    def answer(self, packet):
        """What the answer says: its kind, and the errno of a WorkspaceAnswer."""
        with contextlib.closing(self.ask(packet)) as channel:
            said, fds = receive(channel)
        for fd in fds:
            os.close(fd)
        return answer_of(said)

    def names(self):
        with contextlib.closing(self.ask(header("ListWorkspaces", 1))) as channel:
            said, _ = receive(channel)
        if kind_of(said) != "WorkspaceNames":
            return None
        return [name.decode() for name in said[16:].split(b"\0")[:-1]]

    def end(self, seconds=20):
        """Closes the control socket; the exit status, or None if it had to be killed."""
        self.control.close()
        try:
            self.process.communicate(timeout=seconds)
            return self.process.returncode
        except subprocess.TimeoutExpired:
            airlock.kill(self.process)
            return None


def start_program(keeper, program, argv, streams=None, **request):
    """Puts a program in and starts it; gives back the channel of the process."""
    fd = os.open(program, os.O_RDONLY)
    send(keeper, put_file("workspace/program"), [fd])
    os.close(fd)
    ours, theirs = pair()
    null = os.open("/dev/null", os.O_RDWR)
    fds = [theirs.fileno(), *(streams or [null] * 3)]
    send(keeper, execute(["/workspace/program", *argv], **request), fds)
    theirs.close()
    os.close(null)
    return ours


def honest_run(launcher, program, argv, **request):
    """The report of a whole run, as an honest caller makes it; {} when none came."""
    keeper = launcher.open()
    with contextlib.closing(keeper):
        send(keeper, create_sandbox())
        process = start_program(keeper, program, argv, **request)
        with contextlib.closing(process):
            packet, fds = receive(process)
        for fd in fds:
            os.close(fd)
    return parse_report(packet) if kind_of(packet) == "Report" else {}
