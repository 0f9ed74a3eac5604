"""Attacks on workspaces that outlive their callers; hostile_caller.py carries them out."""

import contextlib
import errno
import os
import pathlib
import random
import signal
import tempfile
import time

import wire
from hostile_support import exited_zero, expect, opened, program, sandbox, yield_report

DISCARD_SECONDS = 60
CLEARED_AT_ONCE = 8  # kClearingMax of jail/durable_keepers.cc
REQUEST = 27  # Stage::kRequest
EVIL_NAMES = (
    "", ".", "..", "../slots", "/etc/passwd", "a/b", "a\0b", "A", "a b", "x" * 65, b"\xff",
)


@contextlib.contextmanager
def durable(launcher, name="hostile"):
    """One that is discarded at the end, whatever was done to it."""
    keeper = launcher.ask(wire.open_workspace(name=name))
    try:
        expect(wire.kind_of(wire.receive(keeper)[0]) == "Adopted", "it cannot be opened")
        wire.send(keeper, wire.create_sandbox())
        yield keeper
    finally:
        keeper.close()
        kind, error = launcher.answer(wire.named("DiscardWorkspace", name))
    expect((kind, error) == ("WorkspaceAnswer", 0), f"discarding it gives {kind} {error}")
    expect(name not in launcher.names(), "it is there after it was discarded")


def evil_names(launcher):
    before = sorted(str(path) for path in pathlib.Path("/run").glob("*"))
    for name in EVIL_NAMES:
        requests = [wire.named(kind, name) for kind in ("AdoptWorkspace", "DiscardWorkspace")]
        requests += [wire.open_workspace(name=name)] if name else []
        for request in requests:
            kind, error = launcher.answer(request)
            if kind == "type 0" and launcher.process.poll() is not None:
                return  # it hung up, which is fine
            expect(kind != "Adopted", f"{name!r} was taken for a name")
            if kind == "WorkspaceAnswer":
                expect(error == errno.EINVAL, f"{name!r} gives errno {error}")
    after = sorted(str(path) for path in pathlib.Path("/run").glob("*"))
    expect(before == after, "a name made a file of the host")


def adopts_without_end(launcher):
    with durable(launcher) as first:
        start = start_logged(first, ["sleep", "3000"])
        wire.send(first, wire.collect())  # is answered when the process runs
        wire.receive(first)
        channels = [launcher.ask(wire.named("AdoptWorkspace", "hostile")) for _ in range(500)]
        channels += [launcher.ask(wire.named("AdoptWorkspace", "nobody")) for _ in range(500)]
        for channel in channels:
            channel.close()
        with contextlib.closing(launcher.ask(wire.named("AdoptWorkspace", "hostile"))) as last:
            kinds = [wire.kind_of(wire.receive(last)[0]) for _ in range(2)]
        expect(kinds == ["Adopted", "AdoptedProcess"], f"the last one of many gets {kinds}")
        start.close()


def discards_without_end(launcher):
    channels = []
    for _ in range(20):
        launcher.ask(wire.open_workspace(name="hostile")).close()
        channels += [launcher.ask(wire.named("DiscardWorkspace", "hostile")) for _ in range(20)]
    for channel in channels:
        wire.receive(channel)
        channel.close()
    # The launcher may be at work on many of those still, and says so.
    until = time.monotonic() + DISCARD_SECONDS
    while launcher.answer(wire.named("DiscardWorkspace", "hostile"))[1] == errno.EAGAIN:
        expect(time.monotonic() < until, "it cannot be discarded")
        time.sleep(0.05)
    expect((alive := launcher.names()) == [], f"alive: {alive}")


def discards_that_are_given_up(launcher):
    """Whoever hangs up before its turn has nothing done for it: the name may be somebody else's."""
    names = [f"hostile{i}" for i in range(CLEARED_AT_ONCE + 1)]
    held = []
    for name in names:
        before = children_of(launcher)
        held.append(launcher.ask(wire.open_workspace(name=name)))
        expect(wire.kind_of(wire.receive(held[-1])[0]) == "Adopted", f"{name} cannot be opened")
        if name != names[-1]:
            for keeper in children_of(launcher) - before:
                os.kill(keeper, signal.SIGSTOP)  # so that its end takes the launcher a while
    waiting = [launcher.ask(wire.named("DiscardWorkspace", name)) for name in names[:-1]]
    launcher.ask(wire.named("DiscardWorkspace", names[-1])).close()
    for channel in waiting:
        answer = wire.answer_of(wire.receive(channel, DISCARD_SECONDS)[0])
        expect(answer == ("WorkspaceAnswer", 0), f"one that waited got {answer}")
        channel.close()
    expect(launcher.names() == names[-1:], f"alive: {launcher.names()}")
    launcher.answer(wire.named("DiscardWorkspace", names[-1]))
    expect((alive := launcher.names()) == [], f"alive: {alive}")
    for channel in held:
        channel.close()


def children_of(launcher):
    own = launcher.process.pid
    text = pathlib.Path(f"/proc/{own}/task/{own}/children").read_text()
    return {int(word) for word in text.split()}


def start_logged(keeper, argv, log=None, tag="tag", log_bytes=1 << 20, **request):
    """A process with a tag; `log` is a descriptor, else a file that is deleted at once."""
    with opened(program()) as fd:
        wire.send(keeper, wire.put_file("workspace/program"), [fd])
    ours, theirs = wire.pair()
    flags = os.O_TMPFILE | os.O_WRONLY | os.O_APPEND
    with opened(tempfile.gettempdir(), flags) as file:
        fds = [theirs.fileno(), file if log is None else log]
        packet = wire.execute(
            ["/workspace/program", *argv], tag=tag, log_bytes=log_bytes, fds=len(fds), **request
        )
        wire.send(keeper, packet, fds)
    theirs.close()
    return ours


def logs_that_are_none(launcher):
    with durable(launcher) as keeper, contextlib.ExitStack() as stack:
        fds = [
            stack.enter_context(opened(path, flags))
            for path, flags in (
                ("/", os.O_RDONLY),
                ("/etc/passwd", os.O_RDONLY),
                ("/etc/passwd", os.O_PATH),
                ("/dev/null", os.O_WRONLY | os.O_APPEND),
                ("/proc/self/oom_score_adj", os.O_WRONLY | os.O_APPEND),
            )
        ]
        fds += [*os.pipe(), *(end.detach() for end in wire.pair())]
        for fd in fds:
            with contextlib.closing(start_logged(keeper, ["exit", "0"], fd)) as process:
                report = wire.parse_report(wire.receive(process)[0])
            expect((report["stage"], report["stage_errno"]) == (REQUEST, errno.EBADF), report)
        for fd in fds[5:]:
            os.close(fd)
        with contextlib.closing(start_logged(keeper, ["exit", "0"])) as process:
            expect(exited_zero(wire.parse_report(wire.receive(process)[0])), "a file is refused")


def impossible_logs(launcher):
    for request in (
        {"log_bytes": 2**64 - 1},
        {"log_bytes": 0},
        {"tag": ""},
        {"tag": "../tag"},
        {"tag": "x" * 5000},
        {"terminal": True},
    ):
        with durable(launcher) as keeper:
            with contextlib.closing(start_logged(keeper, ["exit", "0"], **request)) as process:
                packet, _ = wire.receive(process)
            yield_report(packet)
            expect(
                not packet or not exited_zero(wire.parse_report(packet)),
                f"a program ran with {request}",
            )
    with sandbox(launcher) as keeper:
        with contextlib.closing(start_logged(keeper, ["exit", "0"])) as process:
            packet, _ = wire.receive(process)
        expect(not exited_zero(wire.parse_report(packet)), "a tag outside a durable workspace")


def tags_without_end(launcher):
    with durable(launcher) as keeper:
        for number in range(40):
            tag = f"t{number}"
            with contextlib.closing(start_logged(keeper, ["exit", "0"], tag=tag)) as process:
                report = wire.parse_report(wire.receive(process)[0])
        expect(report["stage_errno"] == errno.EDQUOT, f"the 40th tag gives {report}")
        for number in range(40):
            wire.send(keeper, wire.header("ForgetProcess") + wire.text(f"t{number}"))
        with contextlib.closing(start_logged(keeper, ["exit", "0"])) as process:
            expect(exited_zero(wire.parse_report(wire.receive(process)[0])), "none is forgotten")


def nonsense_to_a_durable_keeper(launcher):
    with durable(launcher) as keeper:
        start_logged(keeper, ["sleep", "3000"]).close()
        wire.send(keeper, os.urandom(64))
        expect(not wire.receive(keeper)[0], "nonsense is answered")
        for _ in range(20):
            with contextlib.closing(
                launcher.ask(wire.named("AdoptWorkspace", "hostile"))
            ) as adopter:
                wire.receive(adopter)
                packet, fds = wire.receive(adopter)
                expect(wire.kind_of(packet) == "AdoptedProcess", "nonsense ended what ran")
                for fd in fds:
                    with wire.socket.socket(fileno=fd) as process:
                        wire.send(process, os.urandom(16))
                wire.send(adopter, wire.header(random.choice(wire.TYPES[15:28])) + os.urandom(9))


ATTACKS = (
    evil_names,
    adopts_without_end,
    discards_without_end,
    discards_that_are_given_up,
    logs_that_are_none,
    impossible_logs,
    tags_without_end,
    nonsense_to_a_durable_keeper,
)
