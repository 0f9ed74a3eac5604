"""`airlock serve` as a peer: started on a port of its own, asked by bench-http."""

import base64
import contextlib
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from measure import MeasureError
from peers import Peer

START_S = 20
STOP_S = 45
# More than are parked, so that what counts is a service that has to make them as it goes.
WARMUP = 8
PER_ROUND = 24
SETTLE_S = 0.05


@dataclass
class Service:
    """One that runs: its supervisor, and where requests go."""
    pid: int
    port: int
    bench_http: str
    folder: Path

    def argv(self, name: str, request: dict) -> list[str]:
        """bench-http with a request, to which --count and its like are put before the last word."""
        body = self.folder / f"{name}.json"
        body.write_text(json.dumps(request))
        return [self.bench_http, "--port", str(self.port), str(body)]

    def peer(self, key: str, title: str, shown: str, request: dict) -> Peer:
        return Peer(key, title, self.argv(key, request), shown, PER_ROUND, measurer="self",
                    warmup=WARMUP, settle_s=SETTLE_S)


def file_member(path: str, content: bytes, executable: bool = False) -> dict:
    return {"path": path, "content": base64.b64encode(content).decode(), "encoding": "base64",
            "executable": executable}


def program_request(program: Path, *words: str) -> dict:
    """A program that travels in the request."""
    return {"argv": ["/workspace/program", *words],
            "files": [file_member("program", program.read_bytes(), executable=True)]}


@contextlib.contextmanager
def start_service(bin_dir: Path, folder: Path, *words: str,
                  environment: dict[str, str] | None = None):
    process = subprocess.Popen([str(bin_dir / "airlock"), "serve", "--listen",
                                "http://127.0.0.1:0", "--wait", "60s", *words],
                               stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                               stderr=subprocess.PIPE, start_new_session=True,
                               env={**os.environ, **(environment or {})})
    try:
        deadline = time.monotonic() + START_S
        port, ready, line = 0, False, ""
        for line in process.stderr:
            event = json.loads(line)
            if event["event"] == "serve.cannot_run":
                raise MeasureError(f"airlock serve cannot run: {event['reason']}")
            if event["event"] == "serve.start":
                port = int(event["listen"][0].rsplit(":", 1)[1])
            ready = event["event"] == "serve.ready"
            if ready or time.monotonic() > deadline:
                break
        if not ready:
            raise MeasureError(f"airlock serve did not start: {line.strip()}")
        yield Service(process.pid, port, str(bin_dir / "bench-http"), folder)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stderr.close()


@contextlib.contextmanager
def host_copy(program: Path):
    """Where every sandbox sees it without being sent it: below /usr/local."""
    folder = Path(tempfile.mkdtemp(prefix="airlock-bench-", dir="/usr/local/lib"))
    try:
        folder.chmod(0o755)
        yield Path(shutil.copy(program, folder))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def service_peers(service: Service, noop: Path, libc: Path, host_libc: Path) -> list[Peer]:
    true = "/usr/bin/true"
    return [
        service.peer("http", "airlock serve, POST /v1/run",
                     "bench-http --port P BODY: a kept connection, NOOP in every request",
                     program_request(noop)),
        service.peer("http_libc", "airlock serve, glibc static",
                     f"the same with NOOP_LIBC ({libc.stat().st_size // 1024} KiB)",
                     program_request(libc)),
        service.peer("http_host", "airlock serve, glibc static of the host",
                     "the same with NOOP_LIBC below /usr/local", {"argv": [str(host_libc)]}),
        Peer("fork_true", "fork + exec, true", [true], true, 10),
        service.peer("http_true", "airlock serve, true", f"the same with {true} of the host",
                     {"argv": [true]}),
    ]
