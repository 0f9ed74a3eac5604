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
from dataclasses import dataclass, field
from pathlib import Path

from measure import MeasureError, Series, run_measurer
from tables import Budget, budget_table

REPOSITORY = Path(__file__).resolve().parent.parent
SUBMITS_PER_SECOND_MIN = 2_000
CLAIM_RATIO_MAX = 2.0
LOOK_SAMPLES = 50
GROUP_CLAIMS = 200
TIMEOUT_S = 300


@dataclass
class StoreFigures:
    submits: dict[str, Series] = field(default_factory=dict)
    queues: dict[int, dict[str, Series]] = field(default_factory=dict)  # by how many are queued


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
    plain = submits["plain"].rate
    for key, series in submits.items():
        lines.append(f"| {titles[key]} | {series.rate:.0f} | {series.p50 / 1e3:.2f} | "
                     f"{series.p99 / 1e3:.2f} | {series.rate / plain:.2f} |")
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


def measure_store(bin_dir: Path, folder: Path, rounds: int = 5, submits: int = 4_000,
                  sizes: tuple[int, int] = (1_000, 1_000_000)) -> StoreFigures:
    bench = Bench(bin_dir / "bench-store", folder)
    return StoreFigures(measure_submits(bench, rounds, submits),
                        {queued: measure_queue(bench, queued) for queued in sizes})


def store_section(figures: StoreFigures) -> str:
    if not figures.submits:
        return "Not measured."
    return "\n".join([*submit_table(figures.submits), "", *queue_table(figures.queues)])


def store_budgets(figures: StoreFigures) -> list[Budget]:
    submits = f"at least {SUBMITS_PER_SECOND_MIN:,} durable submits a second, 64 clients"
    claims = (f"a claim from 1,000,000 queued jobs takes at most {CLAIM_RATIO_MAX:.0f}x what it "
              "takes from 1,000")
    if not figures.submits:
        return [Budget(submits, "not measured", None), Budget(claims, "not measured", None)]
    many = figures.submits["many"]
    small, large = (figures.queues[queued] for queued in sorted(figures.queues))
    worst = max(large[key].p50 / small[key].p50 for key in ("look", "claim"))
    whole = not any(series.failed for part in (figures.submits, small, large)
                    for series in part.values())
    return [Budget(submits, f"{many.rate:,.0f}", whole and many.rate >= SUBMITS_PER_SECOND_MIN),
            Budget(claims, f"{worst:.2f}x", whole and worst <= CLAIM_RATIO_MAX)]


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
    try:
        figures = measure_store(arguments.build / "bin", arguments.folder or arguments.build,
                                arguments.rounds, arguments.submits,
                                (arguments.small, arguments.large))
    except MeasureError as error:
        print(f"bench/store.py: {error}", file=sys.stderr)
        return 1
    budgets = store_budgets(figures)
    print(store_section(figures) + "\n\n" + budget_table(budgets))
    return 1 if arguments.check and not all(budget.holds for budget in budgets) else 0


if __name__ == "__main__":
    sys.exit(main())
