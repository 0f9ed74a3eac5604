"""How much memory `airlock serve` takes: its three processes, and each sandbox that is kept ready.

Of a parked sandbox two things are counted. Its processes (keeper, init, and the process that waits
for a program), by proportional set size: a page that two processes have in common counts half
for each. And what the kernel holds for it (namespaces, mounts, cgroups, page tables), which
belongs to no process: by how much the whole machine's fell when the service with all its parked
sandboxes ended, so that it is true on a quiet machine only.
"""

import contextlib
import os
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from measure import MeasureError, run_measurer
from service_peer import Service, program_request, start_service

PARKED = 32
LOAD_PER_CLIENT = 6
PARK_S = 8      # demand is remembered for ten
POLL_S = 0.2
STEADY_POLLS = 5
AFTER_END_S = 2  # the kernel tears namespaces down in the background
KERNEL_KINDS = ("Slab", "KernelStack", "PageTables", "Percpu", "Shmem")


@dataclass
class Memory:
    """In KiB."""
    rest: dict = field(default_factory=dict)    # {"daemon": (resident, proportional)}, as started
    loaded: dict = field(default_factory=dict)  # the same after runs
    runs: int = 0
    parked: int = 0
    parked_processes: float = 0  # of one parked sandbox, proportional
    parked_kernel: float = 0
    parked_charged: float = 0    # by its memory cgroup, if that can be read

    @property
    def parked_whole(self) -> float:
        return self.parked_processes + self.parked_kernel


def parents() -> dict[int, int]:
    """{pid: its parent} of all that are not dead."""
    found = {}
    for entry in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError, IndexError):
            state, parent = Path(f"/proc/{entry}/stat").read_text().rsplit(")", 1)[1].split()[:2]
            if state not in "ZX":
                found[int(entry)] = int(parent)
    return found


def descendants(pid: int) -> list[int]:
    table, found, last = parents(), [], [pid]
    while last:
        last = [child for child, parent in table.items() if parent in last]
        found += last
    return found


def resident_and_proportional(pid: int) -> tuple[int, int]:
    sizes = {}
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]:
        name, _, rest = line.partition(":")
        sizes[name] = int(rest.split()[0])
    return sizes["Rss"], sizes["Pss"]


def find_roles(service: Service) -> dict[str, int]:
    """{"supervisor": pid, "daemon": pid, "launcher": pid}"""
    roles = {"supervisor": service.pid}
    for child, parent in parents().items():
        if parent == service.pid:
            name = os.path.basename(os.readlink(f"/proc/{child}/exe"))
            roles["launcher" if name == "airlock-jail" else "daemon"] = child
    return roles


def read_roles(roles: dict[str, int]) -> dict[str, tuple[int, int]]:
    return {name: resident_and_proportional(pid) for name, pid in roles.items()}


def kernel_kib() -> int:
    sizes = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
    return sum(int(sizes[kind].split()[0]) for kind in KERNEL_KINDS)


def charged_kib(pids: list[int]) -> int:
    """What the memory cgroups of these processes are charged with; 0 where there are none."""
    groups = set()
    for pid in pids:
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines():
                _, controllers, path = line.split(":", 2)
                if "/airlock/s" not in path:
                    continue
                if controllers == "memory":
                    groups.add(Path(f"/sys/fs/cgroup/memory{path}/memory.usage_in_bytes"))
                elif controllers == "":
                    groups.add(Path(f"/sys/fs/cgroup{path}/memory.current"))
    total = 0
    for group in groups:
        with contextlib.suppress(OSError):
            total += int(group.read_text())
    return total // 1024


def wait_for_parked(launcher: int) -> int:
    """How many keepers there are once their number is at rest: after a load some still end."""
    deadline = time.monotonic() + PARK_S
    counts: list[int] = []
    while len(set(counts[-STEADY_POLLS:])) != 1 or len(counts) < STEADY_POLLS:
        if time.monotonic() > deadline:
            break
        time.sleep(POLL_S)
        counts.append(sum(1 for parent in parents().values() if parent == launcher))
    return counts[-1]


def measure_memory(bin_dir: Path, folder: Path, noop: Path) -> Memory | None:
    memory = Memory()
    try:
        with start_service(bin_dir, folder, "--slots", str(PARKED), "--parked",
                           str(PARKED)) as service:
            roles = find_roles(service)
            time.sleep(0.5)
            memory.rest = read_roles(roles)
            argv = service.argv("load", program_request(noop))
            run_measurer([*argv[:-1], "--count", str(LOAD_PER_CLIENT), "--workers",
                          str(2 * PARKED), argv[-1]], 60)
            memory.runs = LOAD_PER_CLIENT * 2 * PARKED
            memory.parked = wait_for_parked(roles["launcher"])
            memory.loaded = read_roles(roles)
            parked = descendants(roles["launcher"])
            processes = 0
            for pid in parked:
                with contextlib.suppress(OSError):
                    processes += resident_and_proportional(pid)[1]
            charged = charged_kib(parked)
            with_parked = kernel_kib()
        time.sleep(AFTER_END_S)
    except (MeasureError, OSError, KeyError) as error:
        print(f"memory: {error}", file=sys.stderr)
        return None
    memory.parked_processes = processes / memory.parked
    memory.parked_charged = charged / memory.parked
    memory.parked_kernel = (with_parked - kernel_kib()) / memory.parked
    return memory
