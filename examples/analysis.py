"""What 6,983 GPU jobs of a production cluster looked like.

Reads a CSV file with arrival_seconds, gpus and duration_seconds; prints a summary; leaves a report
and the numbers behind it in /output. Standard library only.
"""

import collections
import csv
import json
import pathlib
import statistics
import sys

BAR = 32
DAY = 86_400


def read_jobs(path):
    with open(path, newline="") as file:
        return [tuple(int(row[key]) for key in ("arrival_seconds", "gpus", "duration_seconds"))
                for row in csv.DictReader(file)]


def span(seconds):
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7_200 else f"{seconds / 3600:.1f} h"


def classes_of(jobs):
    by_gpus = collections.defaultdict(list)
    for _, gpus, duration in jobs:
        by_gpus[gpus].append(duration)
    return {gpus: {"jobs": len(durations),
                   "gpu_hours": round(gpus * sum(durations) / 3600, 1),
                   "median_seconds": statistics.median(durations),
                   "p99_seconds": statistics.quantiles(durations, n=100)[98]}
            for gpus, durations in sorted(by_gpus.items())}


def arrivals_per_day(jobs):
    return collections.Counter(arrival // DAY for arrival, _, _ in jobs)


def main():
    path = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "gpu_jobs_2023.csv")
    jobs = read_jobs(path)
    classes = classes_of(jobs)
    total_hours = sum(group["gpu_hours"] for group in classes.values())
    days = (jobs[-1][0] - jobs[0][0]) / DAY
    per_day = arrivals_per_day(jobs)
    busiest, most = per_day.most_common(1)[0]

    lines = [f"{len(jobs):,} jobs in {days:.1f} days, {total_hours:,.0f} GPU hours, "
             f"{total_hours / 24 / days:.2f} GPUs busy on average",
             f"busiest day: day {busiest} with {most:,} jobs; "
             f"median day: {statistics.median(per_day.values()):.0f}", "",
             f"{'GPUs':>4} {'jobs':>6} {'median':>8} {'p99':>8}  share of all GPU hours"]
    for gpus, group in classes.items():
        share = group["gpu_hours"] / total_hours
        bar = "#" * round(share * BAR)
        lines.append(f"{gpus:>4} {group['jobs']:>6,} {span(group['median_seconds']):>8} "
                     f"{span(group['p99_seconds']):>8}  {bar:<{BAR}} {share:6.1%}")
    print("\n".join(lines))

    output = pathlib.Path("/output")
    (output / "report.txt").write_text("\n".join(lines) + "\n")
    (output / "classes.json").write_text(json.dumps(classes, indent=2) + "\n")


main()
