"""`airlock serve` as a peer: started on a port of its own, asked by bench-http."""

import base64
import contextlib
import json
import signal
import subprocess
import time
from pathlib import Path

from measure import MeasureError, Series, run_measurer
from peers import Peer

CLIENTS = (1, 2, 16, 64)
RUNS_PER_MEASUREMENT = 256  # of all clients together
ROUNDS = 6
START_S = 20
STOP_S = 45


@contextlib.contextmanager
def service_peer(bin_dir: Path, folder: Path, noop: Path):
    """POST /v1/run of the no-op, which travels in the request."""
    body = folder / "noop.json"
    content = base64.b64encode(noop.read_bytes()).decode()
    body.write_text(json.dumps({"argv": ["/workspace/noop"], "files": [
        {"path": "noop", "content": content, "encoding": "base64"}]}))
    peer = Peer("http", "airlock serve, POST /v1/run", [str(bin_dir / "bench-http")],
                "bench-http --port P BODY: a kept connection, NOOP in every request", 10,
                measurer="self")
    service = subprocess.Popen([str(bin_dir / "airlock"), "serve", "--listen",
                                "http://127.0.0.1:0", "--wait", "60s"],
                               stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                               stderr=subprocess.PIPE, start_new_session=True)
    try:
        deadline = time.monotonic() + START_S
        port = 0
        for line in service.stderr:
            event = json.loads(line)
            if event["event"] == "serve.start":
                port = int(event["listen"][0].rsplit(":", 1)[1])
            if event["event"] == "serve.ready" or time.monotonic() > deadline:
                break
        if port == 0:
            peer.missing = "airlock serve did not start"
        peer.argv += ["--port", str(port), str(body)]
        yield peer
    finally:
        service.send_signal(signal.SIGTERM)
        try:
            service.wait(STOP_S)
        except subprocess.TimeoutExpired:
            service.kill()
            service.wait()
        service.stderr.close()


def measure_clients(peer: Peer) -> dict[int, Series]:
    """{clients: Series}: how it goes with more clients than processors."""
    found: dict[int, Series] = {}
    for _ in range(ROUNDS):
        for clients in CLIENTS:
            argv = [*peer.priority, *peer.argv[:-1], "--count",
                    str(RUNS_PER_MEASUREMENT // clients), "--warmup", "2", "--workers",
                    str(clients), peer.argv[-1]]
            with contextlib.suppress(MeasureError):
                found.setdefault(clients, Series()).add(run_measurer(argv, peer.timeout_s))
    return found
