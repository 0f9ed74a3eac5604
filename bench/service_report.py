"""The tables of docs/performance.md that tell of `airlock serve`, and its budgets."""

from measure import Series
from peers import Peer
from service_figures import ServiceFigures
from tables import Budget, at_most, compare, ms, ratio, samples_text

# What is too slow to take turns with the service; from the first table of the same run.
SLOW_PEERS = ("firejail", "runsc", "docker")


def beside_table(figures: ServiceFigures, peers: list[Peer], table: dict) -> str:
    one, two = dict(figures.beside.get(1, {})), dict(figures.beside.get(2, {}))
    slow = {key for key in SLOW_PEERS if key in table.get(1, {})}
    for key in slow:
        one[key], two[key] = table[1][key], table[2][key]
    lines = ["| peer | p50 ms | p99 ms | to fork + exec | to fork + exec, glibc | to bwrap "
             "| two at a time, per second | to the floor's | starts |",
             "|---|---:|---:|---:|---:|---:|---:|---:|---:|"]
    known = {peer.key: peer for peer in peers + figures.peers if peer.key in one}
    for key in sorted(known, key=lambda name: one[name].p50):
        series, title = one[key], known[key].title + (" *" if key in slow else "")
        name = f"**{title}**" if "airlock" in title else title
        rate = f"{two[key].rate:.0f}" if key in two else ""
        to_floor = ""
        if {key, "floor"} <= two.keys():
            to_floor = f"{two[key].rate / two['floor'].rate:.2f}"
        lines.append(f"| {name} | {ms(series.p50)} | {ms(series.p99)} | "
                     f"{ratio(series, one.get('fork'))} | {ratio(series, one.get('fork_libc'))} | "
                     f"{ratio(series, one.get('bwrap'))} | {rate} | {to_floor} | "
                     f"{samples_text(series)} |")
    return "\n".join(lines)


def client_table(clients: dict[int, Series]) -> str:
    lines = ["| clients | p50 ms | p99 ms | runs per second | runs |", "|---:|---:|---:|---:|---:|"]
    for count, one in sorted(clients.items()):
        lines.append(f"| {count} | {ms(one.p50)} | {ms(one.p99)} | {one.rate:.0f} | "
                     f"{samples_text(one)} |")
    return "\n".join(lines)


def service_budgets(figures: ServiceFigures) -> list[Budget]:
    one, two = figures.beside.get(1, {}), figures.beside.get(2, {})
    spread = one["http"].p99 / one["http"].p50 if "http" in one else None
    rate = None
    if {"http", "floor"} <= two.keys():
        rate = two["http"].rate / two["floor"].rate
    return [
        at_most("`POST /v1/run` of NOOP_LIBC, one client, at most 4x fork + exec of it",
                compare(one, "http_libc", "fork_libc"), 4.0),
        at_most("`POST /v1/run` of NOOP, one client, at most 4x fork + exec of it",
                compare(one, "http", "fork"), 4.0),
        at_most("`POST /v1/run` of the host's `/usr/bin/true`, one client, at most 4x fork + exec "
                "of it",
                compare(one, "http_true", "fork_true"), 4.0),
        at_most("`POST /v1/run` of NOOP below half of `bwrap --unshare-all` of it",
                compare(one, "http", "bwrap"), 0.5),
        at_most("its p99 at most 10x its p50", spread, 10.0),
        Budget("two clients reach at least 0.6x the rate of the floor",
               "not measured" if rate is None else f"{rate:.2f}x",
               None if rate is None else rate >= 0.6),
    ]
