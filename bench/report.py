"""docs/performance.md from the figures: tables, budgets, and how to read them."""

import datetime
import os
import platform
from dataclasses import dataclass, field
from pathlib import Path

from backends import BackendFigures, backend_budgets, backend_section
from gateway_report import gateway_budgets, gateway_section
from measure import Series
from peers import Peer
from queue_report import QueueFigures, queue_budgets, queue_section
from service_figures import ServiceFigures
from service_report import (beside_table, burst_table, client_table, language_table, memory_table,
                            service_budgets, size_table, where_table)
from store import StoreFigures, store_budgets, store_section
from tables import Budget, at_most, budget_table, compare, ms, ratio, samples_text


@dataclass
class JobFigures:
    """What jobs stand on, each with its own program that measures it."""
    queue: QueueFigures = field(default_factory=QueueFigures)
    store: StoreFigures = field(default_factory=StoreFigures)
    gateway: dict = field(default_factory=dict)
    backends: BackendFigures = field(default_factory=BackendFigures)

    def budgets(self) -> list[Budget]:
        return [*queue_budgets(self.queue), *store_budgets(self.store),
                *gateway_budgets(self.gateway), *backend_budgets(self.backends)]


def describe_machine() -> dict:
    def lines(path: str) -> list[str]:
        return Path(path).read_text().splitlines()

    cpu = next((line.split(":", 1)[1].strip() for line in lines("/proc/cpuinfo")
                if line.startswith("model name")), platform.machine())
    memory_kib = next(int(line.split()[1]) for line in lines("/proc/meminfo")
                      if line.startswith("MemTotal"))
    unified = Path("/sys/fs/cgroup/cgroup.controllers").exists()
    hybrid = Path("/sys/fs/cgroup/unified").exists()
    return {
        "date": datetime.date.today().isoformat(),
        "cpu": f"{os.cpu_count()} cores, {cpu}",
        "memory": f"{memory_kib / 2**20:.0f} GiB",
        "kernel": platform.release().split("-")[0],
        "system": next((line.split("=", 1)[1].strip('"')
                        for line in lines("/etc/os-release")
                        if line.startswith("PRETTY_NAME=")), "unknown"),
        "cgroups": "v2" if unified else ("v1 with v2 beside it (hybrid)" if hybrid else "v1"),
        "load": f"{os.getloadavg()[0]:.2f} at the start",
    }


def peer_table(peers: list[Peer], row: dict[str, Series]) -> str:
    lines = [
        "| peer | p50 ms | p99 ms | per second "
        "| to fork + exec | to the floor | to airlock run | starts |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    ordered = sorted((peer for peer in peers if peer.key in row),
                     key=lambda peer: row[peer.key].p50)
    for peer in ordered:
        one = row[peer.key]
        name = f"**{peer.title}**" if "airlock" in peer.title else peer.title
        count = samples_text(one, peer.missing)
        lines.append(f"| {name} | {ms(one.p50)} | {ms(one.p99)} | {one.rate:.0f} | "
                     f"{ratio(one, row.get('fork'))} | {ratio(one, row.get('floor'))} | "
                     f"{ratio(one, row.get('airlock'))} | {count} |")
    for peer in peers:
        if peer.key not in row:
            lines.append(f"| {peer.title} | not measured: {peer.missing} | | | | | | 0 |")
    return "\n".join(lines)


def rest_table(peers: list[Peer], rested: dict[str, Series]) -> str:
    lines = ["| started 100 ms after the one before | p50 ms | p99 ms | starts |",
             "|---|---:|---:|---:|"]
    titles = {peer.key: peer.title for peer in peers}
    for key, one in sorted(rested.items(), key=lambda entry: entry[1].p50):
        lines.append(f"| {titles[key]} | {ms(one.p50)} | {ms(one.p99)} | {len(one)} |")
    return "\n".join(lines)


def step_table(steps: dict[str, float]) -> str:
    whole = steps.get("", 0.0)
    lines = [f"| part of the floor ({whole:.0f} us) | faster without it by us |", "|---|---:|"]
    for name, cost in sorted(steps.items(), key=lambda entry: -entry[1]):
        if name:
            lines.append(f"| {name} | {cost:.0f} |")
    return "\n".join(lines)


def check_budgets(table: dict[int, dict[str, Series]], figures: ServiceFigures,
                  jobs: JobFigures, realtime: bool) -> list[Budget]:
    one, two = table[1], table[2]
    rate = None
    if {"protocol", "floor"} <= two.keys():
        rate = two["protocol"].rate / two["floor"].rate
    # At ordinary priority beside real-time priority docker looks slower than it is.
    docker = None if realtime else compare(one, "docker", "protocol")
    return [
        at_most("`airlock run` of the static no-op, as a process, is faster than "
                "`bwrap --unshare-all` of it",
                compare(one, "airlock", "bwrap"), 1.0),
        at_most("create + exec + destroy through the launcher's protocol costs at most 1.3x "
                "the floor",
                compare(one, "protocol", "floor"), 1.3),
        Budget("two at a time, the protocol reaches at least 0.6x the rate of "
               "the floor",
               "not measured" if rate is None else f"{rate:.2f}x",
               None if rate is None else rate >= 0.6),
        Budget("`docker run` of the no-op is at least 100x slower than ours through "
               "the protocol",
               "not measured" if docker is None else f"{docker:.0f}x",
               None if docker is None else docker >= 100),
        *service_budgets(figures),
        *jobs.budgets(),
    ]


def command_table(peers: list[Peer]) -> str:
    lines = ["| peer | version | command |", "|---|---|---|"]
    lines += [f"| {peer.title} | {peer.version or 'this repository'} | `{peer.shown}` |"
              for peer in peers]
    return "\n".join(lines)


def render(machine: dict, peers: list[Peer], table: dict, rested: dict, steps: dict,
           figures: ServiceFigures, jobs: JobFigures, budgets: list[Budget]) -> str:
    template = Path(__file__).with_name("performance.template.md").read_text()
    return template.format(
        **machine,
        budgets=budget_table(budgets),
        one=peer_table(peers, table[1]),
        two=peer_table(peers, table[2]),
        rest=rest_table(peers, rested),
        steps=step_table(steps),
        beside=beside_table(figures, peers, table),
        clients=client_table(figures.clients),
        where=where_table(figures),
        burst=burst_table(figures),
        languages=language_table(figures),
        sizes=size_table(figures),
        queue=queue_section(jobs.queue),
        store=store_section(jobs.store),
        gateway=gateway_section(jobs.gateway),
        backends=backend_section(jobs.backends),
        service_memory=memory_table(figures),
        commands=command_table(peers + figures.peers),
    )


def render_parts(machine: dict, peers: list[Peer], figures: ServiceFigures, jobs: JobFigures,
                 budgets: list[Budget]) -> str:
    """What was measured of the service and of jobs alone, for whoever works on them."""
    parts = [f"load average {machine['load']}"]
    parts += [make(figures) for measured, make in (
        (figures.beside, lambda found: beside_table(found, peers, {})),
        (figures.clients, lambda found: client_table(found.clients)),
        (figures.where, where_table),
        (figures.burst is not None, burst_table),
        (figures.languages, language_table),
        (figures.sizes, size_table),
        (figures.memory is not None, memory_table)) if measured]
    parts += [make(found) for found, make in (
        (jobs.queue.decisions and jobs.queue, queue_section),
        (jobs.store.submits and jobs.store, store_section),
        (jobs.gateway, gateway_section),
        (jobs.backends.contenders and jobs.backends, backend_section)) if found]
    parts.append(budget_table([budget for budget in budgets if budget.holds is not None]))
    return "\n\n".join(parts)
