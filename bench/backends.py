"""What makes containers: each backend as a process beside its own runtime, and behind the service.

The guest is bench-emit, which writes one byte: known are the time to that byte and to the end.
"""

import contextlib
import os
import random
import shutil
import subprocess
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from measure import MeasureError, Series, kill_all_of, run_measurer
from peers import MEMORY_BYTES, PIDS, dockerd, find_program, import_image, write_bundle
from service_peer import program_request, start_service
from tables import Budget, at_most, ms

ROUNDS = 12
PER_ROUND = 2
TIMEOUT_S = 120
# After one run the next is made ready: a caller who thinks for a moment finds it.
PAUSED_RUNS = 10
PAUSE_MS = 1_500
OVERHEAD_MAX = 1.10
DIRECT_GAIN_MIN = 1.5
IMAGE = "airlock-bench"
# Ours, and what it is made of.
BESIDE = {"gvisor": "runsc", "docker": "docker_run", "docker+gvisor": "docker_runsc"}


@dataclass
class Contender:
    title: str
    argv: list[str]  # "{n}": a number that is never used twice
    environment: dict[str, str] = field(default_factory=dict)
    first: Series = field(default_factory=Series)
    end: Series = field(default_factory=Series)

    def run(self, number: int) -> None:
        argv = [word.replace("{n}", str(number)) for word in self.argv]
        begin = time.perf_counter()
        with subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, bufsize=0,
                              env={**os.environ, **self.environment}) as process:
            hangs = threading.Timer(TIMEOUT_S, process.kill)
            hangs.start()
            byte = process.stdout.read(1)
            first = time.perf_counter()
            process.wait()
            end = time.perf_counter()
            hangs.cancel()
        if byte != b"x" or process.returncode != 0:
            raise MeasureError(f"{self.title}: exit code {process.returncode}")
        for series, at in ((self.first, first), (self.end, end)):
            series.add({"samples_us": [(at - begin) * 1e6], "wall_s": at - begin, "failed": 0})


@dataclass
class BackendFigures:
    contenders: dict[str, Contender] = field(default_factory=dict)
    served: dict[str, Series] = field(default_factory=dict)  # one by one, with a pause
    missing: str = ""


def contenders(bin_dir: Path, folder: Path, endpoint: str) -> dict[str, Contender]:
    emit = bin_dir / "bench-emit"
    bundle = str(write_bundle(folder / "emit", emit, ["/program", "1"]))
    docker = [find_program("docker"), "-H", endpoint, "run", "--rm", "--network=none",
              f"--memory={MEMORY_BYTES}", f"--pids-limit={PIDS}"]
    flags = ["--platform=ptrace", "--network=none", "--ignore-cgroups"]
    found = {
        "runsc": Contender("runsc run (ptrace)",
                           ["runsc", "--root", str(folder / "runsc-emit"), *flags, "run",
                            "--bundle", bundle, "emit-{n}"]),
        "docker_run": Contender("docker run", [*docker, IMAGE, "/program", "1"]),
        "docker_runsc": Contender("docker run --runtime=runsc",
                                  [*docker, "--runtime=runsc", IMAGE, "/program", "1"]),
    }
    for mode in BESIDE:
        found[mode] = Contender(
            f"airlock run --mode {mode}",
            [str(bin_dir / "airlock"), "run", "--mode", mode, "--docker-image", IMAGE, str(emit),
             "--", "1"], {"AIRLOCK_EXECUTION_DOCKER_SOCKET": endpoint})
    return found


def measure_served(bin_dir: Path, folder: Path, endpoint: str, mode: str) -> Series:
    environment = {"AIRLOCK_EXECUTION_DOCKER_SOCKET": endpoint,
                   "AIRLOCK_EXECUTION_DOCKER_IMAGE": IMAGE,
                   "AIRLOCK_EXECUTION_FALLBACK_ON_ERROR": "false"}
    series = Series()
    with start_service(bin_dir, folder, "--jobs=false", "--execution-mode", mode,
                       environment=environment) as service:
        argv = service.argv(f"backend-{mode}", program_request(bin_dir / "bench-emit", "1"))
        for _ in range(PAUSED_RUNS):
            time.sleep(PAUSE_MS / 1000)
            series.add(run_measurer([*argv[:-1], "--count", "1", "--warmup", "0", argv[-1]],
                                    TIMEOUT_S))
    return series


def measure_backends(bin_dir: Path) -> BackendFigures:
    for program in ("dockerd", "runsc"):
        if not find_program(program):
            return BackendFigures(missing=f"{program} is not installed")
    try:
        return measure_all(bin_dir)
    except MeasureError as error:
        return BackendFigures(missing=str(error))


def measure_all(bin_dir: Path) -> BackendFigures:
    figures = BackendFigures()
    with contextlib.ExitStack() as stack:
        place = Path(tempfile.mkdtemp(prefix="airlock-bench-"))
        stack.callback(shutil.rmtree, place, ignore_errors=True)
        stack.callback(kill_all_of, str(place))
        (place / "emit").mkdir()
        endpoint = stack.enter_context(dockerd(place))
        import_image(endpoint, bin_dir / "bench-emit", IMAGE, "program")
        figures.contenders = contenders(bin_dir, place, endpoint)
        number = 0
        for one in figures.contenders.values():  # images are made, programs read, once
            one.run(number := number + 1)
            one.first, one.end = Series(), Series()
        for turn in range(ROUNDS):
            everybody = list(figures.contenders.values())
            for one in random.Random(turn).sample(everybody, len(everybody)):
                for _ in range(PER_ROUND):
                    one.run(number := number + 1)
        for mode in BESIDE:
            figures.served[mode] = measure_served(bin_dir, place, endpoint, mode)
    return figures


def backend_section(figures: BackendFigures) -> str:
    if not figures.contenders:
        return f"Not measured: {figures.missing or 'left out'}."
    lines = ["| | to the first byte, p50 ms | to the end, p50 ms | to the runtime's own "
             "| from the service, p50 ms |", "|---|---:|---:|---:|---:|"]
    for key, one in figures.contenders.items():
        own = figures.contenders[BESIDE[key]] if key in BESIDE else None
        name = f"**{one.title}**" if own else one.title
        ratio = f"{one.end.p50 / own.end.p50:.2f}" if own else ""
        served = ms(figures.served[key].p50) if key in figures.served else ""
        lines.append(f"| {name} | {ms(one.first.p50)} | {ms(one.end.p50)} | {ratio} | {served} |")
    return "\n".join(lines)


def backend_budgets(figures: BackendFigures) -> list[Budget]:
    found = figures.contenders

    def compare(left: str, right: str) -> float | None:
        return found[left].end.p50 / found[right].end.p50 if found else None

    budgets = [at_most(f"`airlock run --mode {mode}` of a program that writes one byte takes at "
                       f"most {OVERHEAD_MAX:.2f}x what `{found[own].title if found else own}` does",
                       compare(mode, own), OVERHEAD_MAX) for mode, own in BESIDE.items()]
    gain = compare("docker+gvisor", "gvisor")
    return [*budgets,
            Budget(f"gVisor without Docker is at least {DIRECT_GAIN_MIN}x faster than with it",
                   "not measured" if gain is None else f"{gain:.2f}x",
                   None if gain is None else gain >= DIRECT_GAIN_MIN)]
