#!/usr/bin/env python3
"""Measures the store of jobs beside plain SQLite and prints a table.

    bench/store.py [--build build/release] [--folder FOLDER] [--rounds 5] [--submits 4000]
                   [--small 1000] [--large 1000000] [--check]

FOLDER is on the disk that is measured (default: the build folder's). The store and its peer take
turns in every round, so that noise of the machine hits both; read the ratios. Many claims at once
are shown but have no budget: from a large queue each of them dirties pages of its own. --check:
exit code 1 when a budget does not hold.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from measure import MeasureError, Series, run_measurer

REPOSITORY = Path(__file__).resolve().parent.parent
SUBMITS_PER_SECOND_MIN = 2_000
CLAIM_RATIO_MAX = 2.0
LOOK_SAMPLES = 50
GROUP_CLAIMS = 200
TIMEOUT_S = 300


class Bench:
    def __init__(self, program: Path, folder: Path):
        self.program, self.folder = program, folder

    def run(self, mode: str, count: int, **more: int) -> dict:
        with tempfile.TemporaryDirectory(dir=self.folder, prefix="store-bench-") as folder:
            words = [str(self.program), "--mode", mode, "--folder", folder, "--count", str(count)]
            for name, value in more.items():
                words += [f"--{name}", str(value)]
            return run_measurer(words, TIMEOUT_S)


def measure_submits(bench: Bench, rounds: int, count: int) -> dict[str, Series]:
    result = {"plain": Series(), "one": Series(), "many": Series()}
    for _ in range(rounds):
        result["plain"].add(bench.run("plain", max(1, count // 20)))
        result["one"].add(bench.run("submit", max(1, count // 20), clients=1))
        result["many"].add(bench.run("submit", count, clients=64))
    return result


def measure_queue(bench: Bench, queued: int) -> dict[str, Series]:
    result = {}
    for mode, count in (("look", LOOK_SAMPLES), ("claim", LOOK_SAMPLES), ("group", GROUP_CLAIMS),
                        ("list", LOOK_SAMPLES)):
        series = Series()
        series.add(bench.run(mode, count, queued=queued))
        result[mode] = series
    return result


def submit_table(submits: dict[str, Series]) -> list[str]:
    titles = {"plain": "SQLite, one INSERT in one transaction", "one": "store, one client",
              "many": "**store, 64 clients**"}
    lines = ["| durable submits | per second | p50 ms | p99 ms | to plain SQLite |",
             "|---|---:|---:|---:|---:|"]
    plain = len(submits["plain"]) / submits["plain"].wall_s
    for key, series in submits.items():
        rate = len(series) / series.wall_s
        lines.append(f"| {titles[key]} | {rate:.0f} | {series.p50 / 1e3:.2f} | "
                     f"{series.percentile(99) / 1e3:.2f} | {rate / plain:.2f} |")
    return lines


def queue_table(queues: dict[int, dict[str, Series]]) -> list[str]:
    titles = {"look": "heads of all queues", "claim": "the same and one claim",
              "group": f"the same and {GROUP_CLAIMS} claims at once",
              "list": "a page of 20 jobs of one owner"}
    small, large = sorted(queues)
    lines = [f"| p50 ms, from so many queued jobs | {small:,} | {large:,} | ratio |",
             "|---|---:|---:|---:|"]
    for key, title in titles.items():
        a, b = queues[small][key].p50, queues[large][key].p50
        lines.append(f"| {title} | {a / 1e3:.2f} | {b / 1e3:.2f} | {b / a:.2f} |")
    return lines


def main() -> int:
    parser = argparse.ArgumentParser(description="Measure the store of jobs.")
    parser.add_argument("--build", type=Path, default=REPOSITORY / "build/release")
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--submits", type=int, default=4_000)
    parser.add_argument("--small", type=int, default=1_000)
    parser.add_argument("--large", type=int, default=1_000_000)
    parser.add_argument("--check", action="store_true")
    arguments = parser.parse_args()
    bench = Bench(arguments.build / "bin/bench-store", arguments.folder or arguments.build)
    try:
        submits = measure_submits(bench, arguments.rounds, arguments.submits)
        queues = {queued: measure_queue(bench, queued)
                  for queued in (arguments.small, arguments.large)}
    except MeasureError as error:
        print(f"bench/store.py: {error}", file=sys.stderr)
        return 1
    failed = sum(series.failed for part in (submits, *queues.values()) for series in part.values())
    rate = len(submits["many"]) / submits["many"].wall_s
    worst = max(queues[arguments.large][key].p50 / queues[arguments.small][key].p50
                for key in ("look", "claim"))
    print("\n".join([*submit_table(submits), "", *queue_table(queues), "",
                     f"{rate:.0f} durable submits per second, budget {SUBMITS_PER_SECOND_MIN}; "
                     f"claims at most {worst:.2f} times slower, budget {CLAIM_RATIO_MAX}; "
                     f"{failed} failed"]))
    holds = rate >= SUBMITS_PER_SECOND_MIN and worst <= CLAIM_RATIO_MAX and failed == 0
    return 0 if holds or not arguments.check else 1


if __name__ == "__main__":
    sys.exit(main())
