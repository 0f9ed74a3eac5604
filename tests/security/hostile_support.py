"""What the attacks of a hostile caller have in common."""

import contextlib
import os

import wire
from support import airlock


def program():
    return airlock.probe_binary("outcomes")


@contextlib.contextmanager
def opened(path, flags=os.O_RDONLY):
    fd = os.open(path, flags)
    try:
        yield fd
    finally:
        os.close(fd)


def yield_report(packet):
    """A report that came must be one; none at all means that the keeper hung up, which is fine."""
    if packet and wire.kind_of(packet) != "Report":
        raise AssertionError(f"instead of a report came {wire.kind_of(packet)}")


@contextlib.contextmanager
def sandbox(launcher, profile="default"):
    keeper = launcher.open()
    wire.send(keeper, wire.create_sandbox(profile))
    try:
        yield keeper
    finally:
        keeper.close()


def report_of(keeper, argv=("exit", "0"), **request):
    with contextlib.closing(
        wire.start_program(keeper, program(), list(argv), **request)
    ) as process:
        packet, _ = wire.receive(process)
    return wire.parse_report(packet) if wire.kind_of(packet) == "Report" else {}


def expect(condition, what):
    if not condition:
        raise AssertionError(what)


def exited_zero(report):
    return (
        bool(report)
        and report["has_exit_status"]
        and report["wait_status"] == 0
        and not report["stage"]
    )
