#!/usr/bin/env python3
"""Measures airlock against its peers in one run and writes docs/performance.md.

    bench/run.py [--build build/release] [--rounds 24] [--only KEY,KEY] [--json FILE]
                 [--realtime] [--write-docs] [--check]

--only names peers (fork, floor, airlock, bwrap, docker, ...) or parts of what is measured of
`airlock serve`: http (runs over HTTP beside fork + exec, floor and bwrap), clients, where (by
step), burst, languages, sizes, memory; "service" is all of these. queue, store and gateway are
what jobs stand on, backends is containers beside their runtimes. Parts without a peer are printed
without the page around them.

Every round starts each peer a few times, one peer after the other, so that noise of the machine
hits all alike; the order is another one in every round, since the kernel still tidies up after one
peer while the next one starts. Needs root, as docker,
crun and the floor do.
--realtime: for a machine that is not quiet. Everything but the peers that have threads which spin
(runsc, docker) runs at real-time priority, with a bound after which the kernel kills what does not
let go of its processor. --check: exit code 1 when a budget does not hold.
"""

import argparse
import contextlib
import json
import os
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path

import report
from backends import measure_backends
from gateway_report import measure_gateway
from measure import MeasureError, Series, kill_all_of, run_measurer
from peers import (Peer, cgroup_parent, docker_peer, own_peers, process_peers, runtime_peers,
                   write_view)
from queue_report import measure_queue
from service_figures import SECTIONS, ServiceFigures, measure_service
from store import measure_store

REPOSITORY = Path(__file__).resolve().parent.parent
JOB_PARTS = ("queue", "store", "gateway", "backends")
CONCURRENCIES = (1, 2)
REST_MS = 100
REST_SAMPLES = 30
REST_PEERS = ("fork", "floor_process", "airlock", "bwrap")
REALTIME = ["chrt", "--rr", "1", "prlimit", f"--rttime={300_000}:{300_000}"]
NEVER_REALTIME = ("runsc", "docker", "firejail", "crun")
STEP_SAMPLES = 40
STEP_ROUNDS = 8
# What a part of the floor cannot be left out without: proc needs a pid namespace of its own.
STEPS = {
    "user": ["user"], "pid, proc": ["pid", "proc", "masks"], "net": ["net", "loopback"],
    "ipc": ["ipc"], "uts": ["uts"], "cgroup namespace": ["cgroupns"], "cgroups": ["cgroups"],
    "/usr": ["view"],
    "/etc": ["etc"], "/dev": ["dev"], "devpts": ["devpts"], "proc masks": ["masks"],
    "writable file system": ["workspace"],
}


def measure_once(peer: Peer, harness: str, workers: int, count: int, gap_ms: int = 0) -> dict:
    counts = ["--count", str(count), "--warmup", str(peer.warmup), "--workers", str(workers)]
    if peer.measurer == "self":
        argv = [*peer.priority, *peer.argv[:-1], *counts, peer.argv[-1]]
    else:
        gap = ["--gap-ms", str(gap_ms)] if gap_ms else []
        argv = [*peer.priority, *peer.wrapper, harness, *counts, *gap, "--", *peer.argv]
    return run_measurer(argv, peer.timeout_s)


def measure_peers(peers: list[Peer], harness: str, rounds: int, scale: float) -> dict:
    """{concurrency: {key: Series}}. A peer that fails is marked missing and not tried again."""
    table = {workers: {} for workers in CONCURRENCIES}
    for number in range(rounds):
        for peer in random.Random(number).sample(peers, len(peers)):
            for workers in CONCURRENCIES:
                if peer.missing:
                    continue
                count = max(2, int(peer.iterations * scale))
                try:
                    result = measure_once(peer, harness, workers, count)
                except MeasureError as error:
                    peer.missing = str(error)
                    print(f"{peer.title}: {error}", file=sys.stderr)
                    continue
                table[workers].setdefault(peer.key, Series()).add(result)
                time.sleep(peer.settle_s)
        print(f"round {number + 1} of {rounds}", file=sys.stderr)
    return table


def measure_after_rest(peers: list[Peer], harness: str) -> dict:
    """{key: Series} with REST_MS between the starts: what one command costs a person."""
    rested = {}
    for peer in peers:
        if peer.key in REST_PEERS and not peer.missing:
            with contextlib.suppress(MeasureError):
                series = rested.setdefault(peer.key, Series())
                series.add(measure_once(peer, harness, 1, REST_SAMPLES, REST_MS))
    return rested


def measure_steps(floor: Peer) -> dict:
    """{step: microseconds that the floor is faster without it}, by median."""
    if floor.missing:
        return {}
    variants = {"": [], **STEPS}
    series = {name: Series() for name in variants}
    for _ in range(STEP_ROUNDS):
        for name, parts in variants.items():
            without = [word for part in parts for word in ("--without", part)]
            argv = [*floor.priority, *floor.argv[:-1], "--count", str(STEP_SAMPLES),
                    "--warmup", "2", *without, floor.argv[-1]]
            series[name].add(run_measurer(argv, floor.timeout_s))
    whole = series.pop("")
    return {"": whole.p50, **{name: whole.p50 - one.p50 for name, one in series.items()}}


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", type=Path, default=REPOSITORY / "build" / "release")
    parser.add_argument("--rounds", type=int, default=24)
    parser.add_argument("--scale", type=float, default=1.0, help="more or fewer starts per round")
    parser.add_argument("--only", default="", help="peers and parts, comma-separated")
    parser.add_argument("--json", type=Path, help="write the figures here")
    parser.add_argument("--realtime", action="store_true", help="keep other work out of the way")
    parser.add_argument("--write-docs", action="store_true", help="write docs/performance.md")
    parser.add_argument("--check", action="store_true", help="fail when a budget does not hold")
    return parser.parse_args()


def choose(only: str) -> tuple[set[str], set[str], set[str]]:
    """The peers, the parts of the service and those of jobs that were asked for; all peers: an
    empty set."""
    words = {word for word in only.split(",") if word}
    sections = set(SECTIONS) if not words or "service" in words else words & set(SECTIONS)
    jobs = words & set(JOB_PARTS) if words else set(JOB_PARTS)
    return words - set(SECTIONS) - set(JOB_PARTS) - {"service"}, sections, jobs


def measure_jobs(bin_dir: Path, folder: Path, parts: set[str]) -> report.JobFigures:
    """What jobs stand on, one after the other; the store on the disk that `folder` is on."""
    figures = report.JobFigures()
    if "queue" in parts:
        figures.queue = measure_queue(bin_dir)
    if "store" in parts:
        figures.store = measure_store(bin_dir, folder)
    if "gateway" in parts:
        figures.gateway = measure_gateway(bin_dir)
    if "backends" in parts:
        figures.backends = measure_backends(bin_dir)
    return figures


def complaint(arguments: argparse.Namespace, harness: str) -> str:
    """Why nothing can be measured; "" if it can."""
    if not os.access(harness, os.X_OK):
        return f"{harness} is not built: run ./dev build, or name the folder with --build"
    if os.geteuid() != 0:
        return "needs root: the floor and most peers make cgroups and mounts"
    if arguments.only and arguments.write_docs:
        return "--write-docs needs all of it, and --only leaves something out"
    return ""


def main() -> int:
    arguments = parse_arguments()
    bin_dir = (arguments.build / "bin").resolve()
    harness = str(bin_dir / "bench-harness")
    if reason := complaint(arguments, harness):
        print(f"bench/run.py: {reason}", file=sys.stderr)
        return 2
    wanted, sections, job_parts = choose(arguments.only)
    parts_only = bool(arguments.only) and not wanted
    machine = report.describe_machine()
    if arguments.realtime:
        machine["load"] += (
            "; not quiet: all but runsc, docker, firejail and crun, which look slower here than "
            "they are, were measured at real-time priority")
    with contextlib.ExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="airlock-bench-"))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        stack.callback(kill_all_of, str(folder))
        stack.enter_context(cgroup_parent())
        (folder / "noop").mkdir()
        noop = Path(shutil.copy(bin_dir / "bench-noop", folder / "noop" / "bench-noop"))
        view = write_view(folder, REPOSITORY / "policies" / "host-view.yaml")
        everybody = own_peers(bin_dir, noop, view) + process_peers(noop)
        peers = [] if parts_only else everybody + runtime_peers(folder, noop)
        if not arguments.only or "docker" in wanted:
            peers.append(stack.enter_context(docker_peer(folder, noop)))
        peers = [peer for peer in peers if not wanted or peer.key in wanted]
        if arguments.realtime:
            for peer in {peer.key: peer for peer in peers + everybody}.values():
                peer.priority = [] if peer.key in NEVER_REALTIME else REALTIME

        def take_turns(turn: list[Peer]) -> dict:
            return measure_peers(turn, harness, arguments.rounds, arguments.scale)

        table = take_turns(peers) if peers else {workers: {} for workers in CONCURRENCIES}
        rested = measure_after_rest(peers, harness)
        floor = next((peer for peer in peers if peer.key == "floor"), None)
        steps = measure_steps(floor) if floor is not None else {}
        figures = ServiceFigures()
        if sections:
            figures = measure_service(sections, bin_dir, folder, noop, everybody, take_turns)
    jobs = measure_jobs(bin_dir, arguments.build, job_parts)
    budgets = report.check_budgets(table, figures, jobs, arguments.realtime)
    if parts_only:
        page = report.render_parts(machine, everybody, figures, jobs, budgets)
    else:
        page = report.render(machine, peers, table, rested, steps, figures, jobs, budgets)
    print(page)
    if arguments.json:
        found = {str(workers): {key: series.summary()
                                for key, series in {**table[workers],
                                                    **figures.beside.get(workers, {})}.items()}
                 for workers in CONCURRENCIES}
        arguments.json.write_text(json.dumps(found, indent=1) + "\n")
    if arguments.write_docs:
        (REPOSITORY / "docs" / "performance.md").write_text(page)
    missed = [budget for budget in budgets
              if budget.holds is False or (budget.holds is None and not arguments.only)]
    return 1 if arguments.check and missed else 0


if __name__ == "__main__":
    sys.exit(main())
