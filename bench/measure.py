"""Samples and what is said about them: percentiles, rates, ratios.

A Series collects the samples of one peer at one concurrency over all rounds. Times are in
microseconds.
"""

import contextlib
import json
import math
import os
import signal
import subprocess
from dataclasses import dataclass, field


class MeasureError(Exception):
    """A peer that could not be measured; the text says why, for the table."""


@dataclass
class Series:
    samples_us: list[float] = field(default_factory=list)
    wall_s: float = 0.0
    failed: int = 0

    def add(self, result: dict) -> None:
        self.samples_us.extend(result["samples_us"])
        self.wall_s += result["wall_s"]
        self.failed += result["failed"]

    def __len__(self) -> int:
        return len(self.samples_us)

    def percentile(self, percent: float) -> float:
        """Nearest rank: a sample that occurred, never one between two."""
        ordered = sorted(self.samples_us)
        return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]

    @property
    def p50(self) -> float:
        return self.percentile(50)

    @property
    def p99(self) -> float:
        return self.percentile(99)

    @property
    def mean(self) -> float:
        return sum(self.samples_us) / len(self.samples_us)

    @property
    def rate(self) -> float:
        return len(self) / self.wall_s if self.wall_s > 0 else 0.0

    def summary(self) -> dict:
        return {"samples": len(self), "failed": self.failed, "p50_us": self.p50, "p99_us": self.p99,
                "rate_per_s": self.rate}


def kill_all_of(folder: str) -> None:
    """Ends every process that was started with a path in `folder`, which is this run's own: runsc
    leaves a sandbox and a gofer in sessions of their own behind when it is killed."""
    for entry in os.listdir("/proc"):
        if not entry.isdigit() or int(entry) == os.getpid():
            continue
        with contextlib.suppress(OSError):
            with open(f"/proc/{entry}/cmdline", "rb") as file:
                if folder.encode() in file.read():
                    os.kill(int(entry), signal.SIGKILL)


def run_measurer(argv: list[str], timeout_s: float, env: dict[str, str] | None = None) -> dict:
    """Runs a program that prints samples as JSON, in a process group of its own that is killed
    whole when it takes too long: some peers hang, and leave children that would go on running."""
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                               start_new_session=True, env=env)
    try:
        output, errors = process.communicate(timeout=timeout_s)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        raise MeasureError(f"not done after {timeout_s:.0f} s") from None
    last_line = (errors.strip().splitlines() or ["no output"])[-1]
    if process.returncode != 0 or not output.strip():
        raise MeasureError(f"exit code {process.returncode}: {last_line}")
    result = json.loads(output.strip().splitlines()[-1])
    if not result["samples_us"] or result["failed"] == len(result["samples_us"]):
        raise MeasureError("every start failed")
    return result
