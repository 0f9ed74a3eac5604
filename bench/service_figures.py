"""What is measured of `airlock serve`: beside its peers, and with more and more clients.

Its own service is up only while this runs: parked sandboxes are somebody to every other run of
airlock, whose sweep then lists them.
"""

import sys
from dataclasses import dataclass, field
from pathlib import Path

from measure import MeasureError, Series, run_measurer
from peers import Peer
from service_peer import Service, program_request, service_peers, start_service

SECTIONS = ("http", "clients")
# Whom the service takes turns with. All the others are in the tables before.
BESIDE = ("fork", "fork_libc", "floor", "bwrap")
CLIENTS = (1, 2, 16, 64)
RUNS_PER_MEASUREMENT = 256  # of all clients together
CLIENT_ROUNDS = 6


@dataclass
class ServiceFigures:
    peers: list[Peer] = field(default_factory=list)
    beside: dict = field(default_factory=dict)   # {concurrency: {key: Series}}
    clients: dict = field(default_factory=dict)  # {clients: Series}


def measure_clients(service: Service, noop: Path, rounds: int) -> dict[int, Series]:
    """{clients: Series}: how it goes with more clients than processors."""
    found: dict[int, Series] = {}
    argv = service.argv("clients", program_request(noop))
    for _ in range(rounds):
        for clients in CLIENTS:
            try:
                result = run_measurer(
                    [*argv[:-1], "--count", str(RUNS_PER_MEASUREMENT // clients), "--warmup", "2",
                     "--workers", str(clients), argv[-1]], 60)
            except MeasureError as error:
                print(f"{clients} clients: {error}", file=sys.stderr)
                continue
            found.setdefault(clients, Series()).add(result)
    return found


def measure_service(sections: set[str], bin_dir: Path, folder: Path, noop: Path,
                    others: list[Peer], take_turns) -> ServiceFigures:
    """`take_turns(peers)` measures peers as all others are measured."""
    figures = ServiceFigures()
    with start_service(bin_dir, folder) as service:
        figures.peers = service_peers(service, noop, bin_dir / "bench-noop-libc")
        if "http" in sections:
            beside = [peer for peer in others if peer.key in BESIDE]
            figures.beside = take_turns(beside + figures.peers)
        if "clients" in sections:
            figures.clients = measure_clients(service, noop, CLIENT_ROUNDS)
    return figures
