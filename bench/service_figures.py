"""What is measured of `airlock serve`, part by part.

Its own service is up only while this runs: parked sandboxes are somebody to every other run of
airlock, whose sweep then lists them.
"""

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from measure import MeasureError, Series, run_measurer
from peers import Peer
from service_memory import Memory, measure_memory
from service_peer import (Service, file_member, host_copy, program_request, service_peers,
                          start_service)

SECTIONS = ("http", "clients", "where", "burst", "languages", "sizes", "memory")
# Whom the service takes turns with. All the others are in the tables before.
BESIDE = ("fork", "fork_libc", "floor", "bwrap")
CLIENTS = (1, 2, 16, 64)
RUNS_PER_MEASUREMENT = 256  # of all clients together
CLIENT_ROUNDS = 6
BURST = 100
BURST_ROUNDS = 5
BURST_REST_S = 0.5
LANGUAGE_ROUNDS = 8
LANGUAGE_RUNS = 4
LANGUAGES = {
    "python": (["/usr/bin/python3", "-c", "print('hello')"], "print('hello')"),
    "javascript": (["/usr/bin/node", "-e", "console.log('hello')"], "console.log('hello')"),
}
# What a sandbox sets, too: an interpreter does more work where more is asked of it.
BARE_ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": "/tmp", "LANG": "C.UTF-8"}
SIZES = (1 << 10, 16 << 10, 256 << 10, 1 << 20, 8 << 20)
SIZE_ROUNDS = 3
SIZE_RUNS_MAX = 24
SIZE_BYTES_PER_ROUND = 32 << 20
# How many clients ask at once while the service tells of its steps.
WHERE_CLIENTS = (1, 2)
WHERE_ROUNDS = 6


@dataclass
class ServiceFigures:
    peers: list[Peer] = field(default_factory=list)  # the service's own
    others: list[Peer] = field(default_factory=list)  # whom it took turns with
    beside: dict = field(default_factory=dict)     # {concurrency: {key: Series}}
    clients: dict = field(default_factory=dict)    # {clients: Series}
    where: dict = field(default_factory=dict)      # {clients: {step: Series}}; "" is the whole
    burst: Series | None = None                    # a sample is the time to the last answer
    burst_answers: Series | None = None            # each answer
    languages: dict = field(default_factory=dict)  # {language: {"bare" or "http": Series}}
    sizes: dict = field(default_factory=dict)      # {"in", "stdout" or "out": {bytes: Series}}
    largest: dict = field(default_factory=dict)    # {"in", ...: {step: Series}} of the largest
    memory: Memory | None = None


def ask(argv: list[str], count: int, warmup: int = 1, workers: int = 1) -> dict:
    return run_measurer([*argv[:-1], "--count", str(count), "--warmup", str(warmup), "--workers",
                         str(workers), argv[-1]], 60)


def collect(into: dict, key, measure: Callable[[], dict], what: str) -> dict | None:
    """Adds what `measure` finds to the Series of that key; what cannot be measured is told."""
    try:
        result = measure()
    except MeasureError as error:
        print(f"{what} {key}: {error}", file=sys.stderr)
        return None
    into.setdefault(key, Series()).add(result)
    return result


def measure_clients(service: Service, noop: Path) -> dict[int, Series]:
    """{clients: Series}: how it goes with more clients than processors."""
    found: dict[int, Series] = {}
    argv = service.argv("clients", program_request(noop))
    for _ in range(CLIENT_ROUNDS):
        for clients in CLIENTS:
            collect(found, clients,
                    lambda n=clients: ask(argv, RUNS_PER_MEASUREMENT // n, 2, n), "clients")
    return found


def add_steps(into: dict[str, Series], result: dict | None) -> None:
    """The steps that the service has told of, and as "rest" what the client waited besides. Only
    of runs that all succeeded: then every run has told every step, and the lists belong together.
    """
    if result is None or result["failed"]:
        return
    steps = result["steps_us"]
    for name, samples in steps.items():
        into.setdefault(name, Series()).samples_us += samples
    into.setdefault("rest", Series()).samples_us += [
        whole - sum(parts)
        for whole, *parts in zip(result["samples_us"], *steps.values(), strict=True)]


def measure_where(service: Service, noop: Path) -> dict[int, dict[str, Series]]:
    """{clients: {step: Series}}, the whole as step ""."""
    found: dict[int, dict[str, Series]] = {clients: {} for clients in WHERE_CLIENTS}
    argv = service.argv("where", program_request(noop))
    for _ in range(WHERE_ROUNDS):
        for clients in WHERE_CLIENTS:
            into = found[clients]
            result = collect(into, "", lambda n=clients: ask(argv, RUNS_PER_MEASUREMENT // n, 8, n),
                             "where")
            add_steps(into, result)
    return found


def measure_burst(service: Service, noop: Path) -> tuple[Series, Series]:
    """BURST clients that connect and ask at the same moment, once each."""
    last, answers = Series(), {}
    argv = service.argv("burst", program_request(noop))
    for _ in range(BURST_ROUNDS):
        time.sleep(BURST_REST_S)
        result = collect(answers, "burst", lambda: ask(argv, 1, 0, BURST), "burst")
        if result is not None:
            last.add({"samples_us": [result["wall_s"] * 1e6], "wall_s": 0,
                      "failed": result["failed"]})
        else:
            last.failed += BURST
    return last, answers.get("burst", Series())


def measure_languages(service: Service, harness: str) -> dict[str, dict[str, Series]]:
    found: dict[str, dict[str, Series]] = {}
    for _ in range(LANGUAGE_ROUNDS):
        for language, (bare, code) in LANGUAGES.items():
            into = found.setdefault(language, {})
            argv = service.argv(language, {"language": language, "code": code})
            count = ["--count", str(LANGUAGE_RUNS), "--warmup", "1"]
            collect(into, "bare", lambda words=bare, n=count: run_measurer(
                [harness, *n, "--", *words], 60, BARE_ENVIRONMENT), language)
            collect(into, "http", lambda words=argv: ask(words, LANGUAGE_RUNS), language)
    return found


def size_requests(size: int, noop: Path, emit: Path) -> dict[str, dict]:
    """What brings that many bytes in, by standard output out, and out as a file."""
    into = program_request(noop)
    into["files"].append(file_member("data", bytes(range(256)) * (size // 256)))
    out = program_request(emit, str(size), "/workspace/data")
    return {"in": into, "stdout": program_request(emit, str(size)),
            "out": {**out, "outputs": ["data"]}}


def measure_sizes(service: Service, noop: Path, emit: Path,
                  largest: dict) -> dict[str, dict[int, Series]]:
    """{way: {bytes: Series}}; the steps of the largest are added to `largest`."""
    found: dict[str, dict[int, Series]] = {}
    for _ in range(SIZE_ROUNDS):
        for size in SIZES:
            count = max(2, min(SIZE_RUNS_MAX, SIZE_BYTES_PER_ROUND // size))
            for way, request in size_requests(size, noop, emit).items():
                argv = service.argv("size", request)
                result = collect(found.setdefault(way, {}), size,
                                 lambda words=argv, n=count: ask(words, n), way)
                if size == SIZES[-1]:
                    add_steps(largest.setdefault(way, {}), result)
    return found


def measure_service(sections: set[str], bin_dir: Path, folder: Path, noop: Path,
                    others: list[Peer], take_turns) -> ServiceFigures:
    """`take_turns(peers)` measures peers as all others are measured."""
    figures = ServiceFigures()
    if "memory" in sections:
        figures.memory = measure_memory(bin_dir, folder, noop)
    if not sections - {"memory"}:
        return figures
    libc = bin_dir / "bench-noop-libc"
    with host_copy(libc) as host_libc, start_service(bin_dir, folder) as service:
        figures.peers = service_peers(service, noop, libc, host_libc)
        if "http" in sections:
            # The service has ordinary priority, whatever the others had among themselves.
            figures.others = [replace(peer, priority=[]) for peer in others if peer.key in BESIDE]
            figures.beside = take_turns(figures.others + figures.peers)
        if "clients" in sections:
            figures.clients = measure_clients(service, noop)
        if "where" in sections:
            figures.where = measure_where(service, noop)
        if "burst" in sections:
            figures.burst, figures.burst_answers = measure_burst(service, noop)
        if "languages" in sections:
            figures.languages = measure_languages(service, str(bin_dir / "bench-harness"))
        if "sizes" in sections:
            figures.sizes = measure_sizes(service, noop, bin_dir / "bench-emit",
                                          figures.largest)
    return figures
