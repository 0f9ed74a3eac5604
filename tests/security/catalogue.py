"""Every threat with its probe: what is tried, how the control shows it can work, what stops it.

The table of docs/threat-model.md is printed from here (`run.py --table`), and a test compares
them.
"""

import dataclasses

import threats_files
import threats_kernel
import threats_limits
import threats_processes
import threats_streams

ALL = "v1 v2 rootless"


@dataclasses.dataclass(frozen=True)
class Probe:
    id: str
    threat: str
    walls: str  # what stops it, the first wall first
    domain: str  # which binary
    call: tuple  # the probe's name and arguments inside
    control: str = "root"  # how the control runs: root, or a list for control_in
    control_call: tuple = ()  # where the control needs other arguments
    options: tuple = ()  # of airlock run
    kind: str = "line"  # line, outcome, collect, or the name of a check of its own
    outcomes: tuple = ("exited",)  # any of these
    may_lack: str = ""  # why this control may find nothing to attack on some hosts
    weaker_without: str = ""  # what the result must list as missing where this is not enforced
    tested_on: str = ALL

    def name(self):
        return " ".join((self.domain, *self.call))


class _Table:
    def __init__(self):
        self.probes = []

    def add(self, threat, walls, domain, call, **more):
        number = len(self.probes) + 1
        more.setdefault("control", "root")
        self.probes.append(
            Probe(
                f"T-{number:02}",
                threat,
                walls,
                domain,
                tuple(call.split()),
                **{
                    key: tuple(value.split())
                    if key in ("control_call", "options", "outcomes")
                    else value
                    for key, value in more.items()
                },
            )
        )


GROUPS = {
    "files": threats_files.files,
    "mounts": threats_files.mounts,
    "processes": threats_processes.processes,
    "network": threats_processes.network,
    "kernel": threats_kernel.kernel,
    "ipc": threats_kernel.ipc,
    "resources": threats_limits.resources,
    "terminal": threats_streams.terminal,
    "fds": threats_streams.fds,
    "collect": threats_streams.collect,
}


def groups():
    """Group name -> its probes, in the order of their ids."""
    table, found = _Table(), {}
    for name, fill in GROUPS.items():
        start = len(table.probes)
        fill(table.add)
        found[name] = table.probes[start:]
    return found


def control_words(probe):
    """How the control runs, for the table of the threat model."""
    where = {"root": "on the host"}.get(probe.control, f"in `{probe.control}`")
    call = f": `{' '.join(probe.control_call)}`" if probe.control_call else ""
    lack = f" (may be absent: {probe.may_lack})" if probe.may_lack else ""
    return where + call + lack


def table_rows():
    for probes in groups().values():
        for p in probes:
            yield (p.id, p.threat, p.walls, f"`{p.name()}`", control_words(p), p.tested_on)
