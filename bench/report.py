"""docs/performance.md from the figures: tables, budgets, and how to read them."""

import datetime
import os
import platform
from dataclasses import dataclass
from pathlib import Path

from measure import Series
from peers import Peer


@dataclass
class Budget:
    text: str
    found: str
    holds: bool | None  # None: not measured


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


def ms(us: float) -> str:
    return f"{us / 1000:.2f}" if us < 100_000 else f"{us / 1000:.0f}"


def ratio(series: Series, base: Series | None) -> str:
    if base is None or not base.samples_us:
        return ""
    value = series.p50 / base.p50
    return f"{value:.2f}" if value < 10 else f"{value:.0f}"


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
        count = f"{len(one)}" + (f", {one.failed} failed" if one.failed else "")
        if peer.missing:
            count += f"; stopped: {peer.missing}"
        lines.append(f"| {name} | {ms(one.p50)} | {ms(one.p99)} | {one.rate:.0f} | "
                     f"{ratio(one, row.get('fork'))} | {ratio(one, row.get('floor'))} | "
                     f"{ratio(one, row.get('airlock'))} | {count} |")
    for peer in peers:
        if peer.key not in row and peer.key != "http":
            lines.append(f"| {peer.title} | not measured: {peer.missing} | | | | | | 0 |")
    return "\n".join(lines)


def rest_table(peers: list[Peer], rested: dict[str, Series]) -> str:
    lines = ["| started 100 ms after the one before | p50 ms | p99 ms | starts |",
             "|---|---:|---:|---:|"]
    titles = {peer.key: peer.title for peer in peers}
    for key, one in sorted(rested.items(), key=lambda entry: entry[1].p50):
        lines.append(f"| {titles[key]} | {ms(one.p50)} | {ms(one.p99)} | {len(one)} |")
    return "\n".join(lines)


def client_table(clients: dict[int, Series]) -> str:
    lines = ["| clients | p50 ms | p99 ms | runs per second | runs |", "|---:|---:|---:|---:|---:|"]
    for count, one in sorted(clients.items()):
        runs = f"{len(one)}" + (f", {one.failed} failed" if one.failed else "")
        lines.append(f"| {count} | {ms(one.p50)} | {ms(one.p99)} | {one.rate:.0f} | {runs} |")
    return "\n".join(lines)


def step_table(steps: dict[str, float]) -> str:
    whole = steps.get("", 0.0)
    lines = [f"| part of the floor ({whole:.0f} us) | faster without it by us |", "|---|---:|"]
    for name, cost in sorted(steps.items(), key=lambda entry: -entry[1]):
        if name:
            lines.append(f"| {name} | {cost:.0f} |")
    return "\n".join(lines)


def compare(row: dict[str, Series], left: str, right: str) -> float | None:
    if left not in row or right not in row:
        return None
    return row[left].p50 / row[right].p50


def check_budgets(table: dict[int, dict[str, Series]], clients: dict[int, Series],
                  realtime: bool) -> list[Budget]:
    one, two = dict(table[1]), dict(table[2])
    if {1, 2} <= clients.keys():
        one["http"], two["http"] = clients[1], clients[2]

    def at_most(text: str, value: float | None, bound: float) -> Budget:
        return Budget(text, "not measured" if value is None else f"{value:.2f}x",
                      None if value is None else value <= bound)

    spread = one["http"].p99 / one["http"].p50 if "http" in one else None
    http_rate = None
    if {"http", "floor"} <= two.keys():
        http_rate = two["http"].rate / two["floor"].rate
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
        at_most("`POST /v1/run` of the no-op, one client, at most 4x fork + exec of it",
                compare(one, "http", "fork"), 4.0),
        at_most("and below half of `bwrap --unshare-all` of it", compare(one, "http", "bwrap"),
                0.5),
        at_most("its p99 at most 10x its p50", spread, 10.0),
        Budget("two clients reach at least 0.6x the rate of the floor",
               "not measured" if http_rate is None else f"{http_rate:.2f}x",
               None if http_rate is None else http_rate >= 0.6),
        Budget("`docker run` of the no-op is at least 100x slower than ours through "
               "the protocol",
               "not measured" if docker is None else f"{docker:.0f}x",
               None if docker is None else docker >= 100),
    ]


def budget_table(budgets: list[Budget]) -> str:
    words = {True: "holds", False: "**does not hold**", None: "not measured"}
    lines = ["| budget | found | |", "|---|---:|---|"]
    lines += [f"| {budget.text} | {budget.found} | {words[budget.holds]} |" for budget in budgets]
    return "\n".join(lines)


def command_table(peers: list[Peer]) -> str:
    lines = ["| peer | version | command |", "|---|---|---|"]
    lines += [f"| {peer.title} | {peer.version or 'this repository'} | `{peer.shown}` |"
              for peer in peers]
    return "\n".join(lines)


def render(machine: dict, peers: list[Peer], table: dict, rested: dict, steps: dict,
           clients: dict, budgets: list[Budget]) -> str:
    template = Path(__file__).with_name("performance.template.md").read_text()
    return template.format(
        **machine,
        budgets=budget_table(budgets),
        one=peer_table(peers, table[1]),
        two=peer_table(peers, table[2]),
        rest=rest_table(peers, rested),
        steps=step_table(steps),
        clients=client_table(clients),
        commands=command_table(peers),
    )
