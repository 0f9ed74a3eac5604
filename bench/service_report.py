"""The tables of docs/performance.md that tell of `airlock serve`, and its budgets."""

from measure import Series
from peers import Peer
from service_figures import BURST, SIZES, ServiceFigures
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
    everybody = peers + figures.others + figures.peers
    known = {peer.key: peer for peer in everybody if peer.key in one}
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
                     f"{samples_text(series, known[key].missing)} |")
    lines += [f"| {peer.title} | not measured: {peer.missing} | | | | | | | 0 |"
              for peer in figures.others + figures.peers if peer.missing and peer.key not in one]
    return "\n".join(lines)


def client_table(clients: dict[int, Series]) -> str:
    lines = ["| clients | p50 ms | p99 ms | runs per second | runs |", "|---:|---:|---:|---:|---:|"]
    for count, one in sorted(clients.items()):
        lines.append(f"| {count} | {ms(one.p50)} | {ms(one.p99)} | {one.rate:.0f} | "
                     f"{samples_text(one)} |")
    return "\n".join(lines)


def burst_table(figures: ServiceFigures) -> str:
    if figures.burst is None or not figures.burst.samples_us:
        return "Not measured."
    burst, asked = figures.burst, BURST * len(figures.burst)
    return "\n".join([
        "| at once | times | succeeded | half of the answers after ms | the last after ms, p50 "
        "| at worst |", "|---:|---:|---:|---:|---:|---:|",
        f"| {BURST} | {len(burst)} | {asked - burst.failed} of {asked} | "
        f"{ms(figures.burst_answers.p50)} | {ms(burst.p50)} | {ms(burst.percentile(100))} |"])


def language_table(figures: ServiceFigures) -> str:
    lines = ["| hello in | bare p50 ms | over HTTP p50 ms | p99 ms | ratio | more by ms | runs |",
             "|---|---:|---:|---:|---:|---:|---:|"]
    for language, pair in figures.languages.items():
        if {"bare", "http"} <= pair.keys():
            bare, http = pair["bare"], pair["http"]
            lines.append(f"| {language} | {ms(bare.p50)} | {ms(http.p50)} | {ms(http.p99)} | "
                         f"{ratio(http, bare)} | {ms(http.p50 - bare.p50)} | "
                         f"{samples_text(http)} |")
    return "\n".join(lines)


SIZE_WAYS = {"in": "a file in", "stdout": "standard output", "out": "a file out"}


def size_table(figures: ServiceFigures) -> str:
    ways = [way for way in SIZE_WAYS if way in figures.sizes]
    lines = ["| p50 ms | " + " | ".join(SIZE_WAYS[way] for way in ways) + " |",
             "|---|" + "---:|" * len(ways)]
    for size in SIZES:
        name = f"{size >> 10} KiB" if size < 1 << 20 else f"{size >> 20} MiB"
        cells = [ms(figures.sizes[way][size].p50) if size in figures.sizes[way] else "failed"
                 for way in ways]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    cells = []
    for way in ways:
        found = figures.sizes[way]
        if {SIZES[0], SIZES[-1]} <= found.keys():
            more = found[SIZES[-1]].p50 - found[SIZES[0]].p50
            cells.append(ms(more * (1 << 20) / (SIZES[-1] - SIZES[0])))
        else:
            cells.append("")
    lines.append("| each MiB more | " + " | ".join(cells) + " |")
    return "\n".join([*lines, "", *largest_lines(figures, ways)])


def largest_lines(figures: ServiceFigures, ways: list[str]) -> list[str]:
    """Where the time goes when most of it goes with the bytes."""
    lines = [f"| {SIZES[-1] >> 20} MiB by step, p50 ms | "
             + " | ".join(SIZE_WAYS[way] for way in ways) + " |",
             "|---|" + "---:|" * len(ways)]
    for step in STEPS:
        found = [figures.largest[way].get(step) for way in ways]
        if any(found):
            lines.append(f"| {step} | "
                         + " | ".join(ms(series.p50) if series else "" for series in found) + " |")
    return lines


STEPS = {
    "parse": "the request is read and checked, its files laid out",
    "wait": "until a slot's thread is awake",
    "sandbox": "a parked sandbox is taken, files are sent to it",
    "start": "until the moment before execve, in the sandbox",
    "program": "until its process tree is gone",
    "report": "until that is told and its output read",
    "collect": "output files are found and read",
    "close": "the sandbox is let go",
    "answer": "the result is handed over and put into words",
    "rest": "connection, reading and writing of HTTP, the client",
}


def where_table(figures: ServiceFigures) -> str:
    measured = {clients: steps for clients, steps in figures.where.items() if "" in steps}
    if not measured:
        return "Not measured."
    lines = ["| step | what it is | "
             + " | ".join(f"{clients} client{'s' * (clients > 1)}: p50 us | mean us"
                          for clients in measured) + " |",
             "|---|---|" + "---:|" * 2 * len(measured)]

    def cells(name: str) -> str:
        return " | ".join(f"{steps[name].p50:.0f} | {steps[name].mean:.0f}"
                          if name in steps else " | " for steps in measured.values())

    lines += [f"| {name} | {what} | {cells(name)} |" for name, what in STEPS.items()
              if any(name in steps for steps in measured.values())]
    return "\n".join([*lines, f"| **whole** | as the client sees it | {cells('')} |"])


def memory_table(figures: ServiceFigures) -> str:
    memory = figures.memory
    if memory is None:
        return "Not measured."
    lines = [f"| KiB | resident | proportional | resident after {memory.runs} runs "
             "| proportional |", "|---|---:|---:|---:|---:|"]
    for name in ("supervisor", "daemon", "launcher"):
        before, after = memory.rest[name], memory.loaded[name]
        lines.append(f"| {name} | {before[0]} | {before[1]} | {after[0]} | {after[1]} |")
    lines += ["", f"| a parked sandbox, of {memory.parked} | KiB |", "|---|---:|",
              "| its processes: keeper, init, the one that waits "
              f"| {memory.parked_processes:.0f} |",
              f"| what the kernel holds for it | {memory.parked_kernel:.0f} |",
              f"| **together** | {memory.parked_whole:.0f} |"]
    if memory.parked_charged:
        lines.append(f"| of all that its memory cgroup is charged with | "
                     f"{memory.parked_charged:.0f} |")
    return "\n".join(lines)


def service_budgets(figures: ServiceFigures) -> list[Budget]:
    one, two = figures.beside.get(1, {}), figures.beside.get(2, {})
    spread = one["http"].p99 / one["http"].p50 if "http" in one else None
    rate = None
    if {"http", "floor"} <= two.keys():
        rate = two["http"].rate / two["floor"].rate
    floor = compare(one, "floor", "fork_libc")
    floor_text = "" if floor is None else f" (the floor: {floor:.2f}x)"
    return [
        at_most("`POST /v1/run` of NOOP_LIBC that lies on the host, one client, at most 4x fork + "
                f"exec of it{floor_text}",
                compare(one, "http_host", "fork_libc"), 4.0),
        at_most("the same, at most 0.95x the floor: four times fork + exec where the floor takes "
                "4.2 times (ADR 15)",
                compare(one, "http_host", "floor"), 0.95),
        at_most("`POST /v1/run` of the host's `/usr/bin/true`, one client, at most 4x fork + exec "
                "of it",
                compare(one, "http_true", "fork_true"), 4.0),
        at_most("`POST /v1/run` of NOOP below half of `bwrap --unshare-all` of it",
                compare(one, "http", "bwrap"), 0.5),
        at_most("its p99 at most 10x its p50", spread, 10.0),
        Budget("two clients reach at least 0.6x the rate of the floor",
               "not measured" if rate is None else f"{rate:.2f}x",
               None if rate is None else rate >= 0.6),
        saturated_budget(figures),
        saturated_beside_floor(figures, one),
        *burst_and_memory_budgets(figures),
    ]


def best_rate(figures: ServiceFigures) -> float:
    return max((series.rate for count, series in figures.clients.items() if count > 1), default=0)


def saturated_beside_floor(figures: ServiceFigures, one: dict[str, Series]) -> Budget:
    best = best_rate(figures)
    ratio = best / one["floor"].rate if best and "floor" in one else None
    return Budget("the same, at least 0.91x the rate of the floor on one processor: 700 where the "
                  "floor makes 770 (ADR 15)",
                  "not measured" if ratio is None else f"{ratio:.2f}x",
                  None if ratio is None else ratio >= 0.91)


def saturated_budget(figures: ServiceFigures) -> Budget:
    best = best_rate(figures)
    return Budget("with more than one client, at least 700 runs a second on two processors",
                  f"{best:.0f}" if best else "not measured", best >= 700 if best else None)


def burst_and_memory_budgets(figures: ServiceFigures) -> list[Budget]:
    burst, memory = figures.burst, figures.memory
    asked = BURST * len(burst) if burst is not None else 0
    daemon = memory.loaded["daemon"][0] / 1024 if memory is not None else None
    parked = memory.parked_whole / 1024 if memory is not None else None

    def mib(text: str, value: float | None, bound: float) -> Budget:
        return Budget(text, "not measured" if value is None else f"{value:.2f} MiB",
                      None if value is None else value < bound)

    return [
        Budget(f"{BURST} runs at once all succeed",
               f"{asked - burst.failed} of {asked}" if asked else "not measured",
               burst.failed == 0 if asked else None),
        mib("the daemon, after runs, is resident with less than 15 MiB", daemon, 15),
        mib("a parked sandbox takes less than 1 MiB, with what the kernel holds for it", parked,
            1),
    ]
