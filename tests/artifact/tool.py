"""Runs artifact-tool and gives back what it said and how much memory it took."""

import dataclasses
import os
import pathlib
import re
import signal
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
TOOL = pathlib.Path(os.environ.get("AIRLOCK_ARTIFACT_TOOL",
                                   ROOT / "build/release/tests/artifact-tool"))
SECONDS_MAX = 300
PROGRESS = re.compile(r"progress (\d+) bytes")


@dataclasses.dataclass
class Done:
    status: int
    stdout: str
    stderr: str
    memory_bytes: int
    seconds: float

    def digests(self):
        """{path: (size, sha256)}"""
        lines = (line.split(" ", 2) for line in self.stdout.splitlines())
        return {path: (int(size), sha256) for sha256, size, path in lines}

    def said(self):
        return f"status {self.status}\n{self.stdout[-1000:]}\n{self.stderr[-1000:]}"


class Running:
    """A tool that was started with --progress, to be disturbed on its way."""

    def __init__(self, environment, *words):
        self.began = time.monotonic()
        self.said = ""
        self.process = subprocess.Popen([str(TOOL), "--progress", *map(str, words)],
                                        env=environment, stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def wait_for_bytes(self, count):
        """Until that many of one file have passed; False if it ended before."""
        for line in self.process.stderr:
            self.said += line
            match = PROGRESS.match(line)
            if match and int(match[1]) >= count:
                return True
        return False

    def send(self, number):
        self.process.send_signal(number)

    def kill(self):
        self.send(signal.SIGKILL)
        return self.finish()

    def finish(self):
        stdout, stderr = self.process.communicate(timeout=SECONDS_MAX)
        return Done(self.process.returncode, stdout, self.said + stderr, 0,
                    time.monotonic() - self.began)


def run(environment, *words):
    began = time.monotonic()
    process = subprocess.Popen([str(TOOL), *map(str, words)], env=environment,
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True)
    peak = f"/proc/{process.pid}/status"
    memory = 0
    while True:
        try:
            stdout, stderr = process.communicate(timeout=0.05)
            break
        except subprocess.TimeoutExpired:
            text = pathlib.Path(peak).read_text(encoding="utf8")
            match = re.search(r"VmHWM:\s+(\d+) kB", text)
            memory = int(match[1]) * 1024 if match else memory
            if time.monotonic() - began > SECONDS_MAX:
                process.kill()
    return Done(process.returncode, stdout, stderr, memory, time.monotonic() - began)
