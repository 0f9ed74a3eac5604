#!/usr/bin/env python3
"""The run service for a long time: what it holds must not grow, whoever its clients are.

    tests/soak/service_soak.py [--runs 100000] [--seconds 180] [--kills 1000] [--seed S]

Three parts, each left out by 0. `runs`: so many runs of kept connections; descriptors, memory,
threads and processes of supervisor, launcher and daemon, control groups and slots are sampled, and
compared after the first tenth and at the end. `seconds` of 64 clients, honest, hostile and rude.
`kills` of daemon, launcher, both, or a keeper at random moments. The last line is `N passed, N
failed`.
"""

import argparse
import http.client
import json
import os
import pathlib
import subprocess
import sys
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
TESTS = HERE.parent
sys.path[:0] = [str(TESTS), str(TESTS / "blackbox")]

import clients  # noqa: E402
from service import Service  # noqa: E402
from support import leftovers  # noqa: E402

CLIENTS = 8
SAMPLES = 20
QUIET_SECONDS = 12  # the demand of the last ten decides how many sandboxes are parked
# By how much more there may be at the end than after the first tenth.
GROWTH_MAX = {"descriptors": 2, "kib": 4096, "threads": 0, "processes": 2, "groups": 4, "slots": 2}


class Tally:
    def __init__(self):
        self.passed = self.failed = 0

    def say(self, good, name, text):
        self.passed += good
        self.failed += not good
        print(f"{'ok  ' if good else 'FAIL'} {name}: {text}", flush=True)


def proc(pid, name):
    return pathlib.Path(f"/proc/{pid}/{name}")


def held_by(pid):
    status = proc(pid, "status").read_text(encoding="utf8")
    field = lambda name: int(status.split(name + ":")[1].split()[0])  # noqa: E731
    return {"descriptors": len(os.listdir(proc(pid, "fd"))), "kib": field("VmRSS"),
            "threads": field("Threads")}


def family_size(pid):
    children = proc(pid, f"task/{pid}/children").read_text(encoding="utf8").split()
    return 1 + sum(family_size(child) for child in children if proc(child, "task").exists())


def locked_slots():
    """How many bytes of the file of slots are locked, by whomever."""
    file = os.stat("/run/airlock/slots")
    name = f"{os.major(file.st_dev):02x}:{os.minor(file.st_dev):02x}:{file.st_ino}"
    return pathlib.Path("/proc/locks").read_text(encoding="utf8").split().count(name)


def sample(service):
    """What the service holds while nothing runs."""
    time.sleep(QUIET_SECONDS)
    found = {}
    for name, pid in {"supervisor": service.process.pid, **service.children()}.items():
        found.update({f"{name} {what}": count for what, count in held_by(pid).items()})
    found["processes"] = family_size(service.process.pid)
    found["groups"] = len(leftovers.control_groups())
    found["slots"] = locked_slots()
    return found


def one_after_the_other(service, share, wrong):
    """Honest runs on a kept connection; every tenth is another kind of request."""
    connection = service.connect()
    for number in range(1, share + 1):
        try:
            if number % 10 == 0:
                status, answer = clients.streamed(service, clients.honest_request(number))
            else:
                connection.request("POST", "/v1/run", json.dumps(clients.honest_request(number)),
                                   {"Content-Type": "application/json"})
                reply = connection.getresponse()
                status, answer = reply.status, json.loads(reply.read())
            problem = clients.check_honest(number, status, answer)
        except (OSError, http.client.HTTPException, ValueError) as error:
            problem = repr(error)
            connection.close()
        if problem:
            wrong.append(problem)
    connection.close()


def run_many(service, count):
    """(how many were wrong, runs each second)"""
    wrong = []
    started = time.monotonic()
    threads = [threading.Thread(target=one_after_the_other,
                                args=(service, count // CLIENTS, wrong)) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return wrong, count / (time.monotonic() - started)


def soak_runs(count, tally):
    before = leftovers.snapshot()
    with Service("--wait", "60s") as service:
        pids = service.children()
        wrong, samples, peak = [], [], {}
        for step in range(SAMPLES):
            some, rate = run_many(service, count // SAMPLES)
            wrong += some
            for name, pid in service.children().items():
                peak[name] = max(peak.get(name, 0), held_by(pid)["kib"])
            if step in (1, SAMPLES // 2, SAMPLES - 1):
                samples.append(sample(service))
                print(f"     after {(step + 1) * count // SAMPLES}, {rate:.0f} each second: "
                      f"{samples[-1]}", flush=True)
        tally.say(not wrong, f"{count} runs", f"all right; at most {peak} KiB while they ran"
                  if not wrong else f"{len(wrong)} wrong: {wrong[:3]}")
        grown = {name: last - samples[0][name] for name, last in samples[-1].items()
                 if last - samples[0][name] > GROWTH_MAX[name.rsplit(" ", 1)[-1]]}
        tally.say(not grown, "what the service holds", f"has grown: {grown}" if grown else "flat")
        tally.say(pids == service.children(), "nobody died", str(service.children()))
    left = leftovers.remaining(before)
    tally.say(not left, "leftovers after the runs", "; ".join(left[:5]) if left else "none")


def load_test(names, tally, **environment):
    """Tests of serve_load_test.py, longer."""
    done = subprocess.run(
        [sys.executable, TESTS / "blackbox/serve_load_test.py", *names], stdin=subprocess.DEVNULL,
        env={**os.environ, **{key: str(value) for key, value in environment.items()}}, check=False)
    tally.say(done.returncode == 0, " ".join(names), f"exit code {done.returncode}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--runs", type=int, default=100_000)
    parser.add_argument("--seconds", type=int, default=180)
    parser.add_argument("--kills", type=int, default=1_000)
    parser.add_argument("--seed", type=int, default=None)
    options = parser.parse_args()
    tally = Tally()
    if options.runs:
        soak_runs(options.runs, tally)
    if options.seconds:
        load_test(["Load.test_honest_clients_get_their_true_results_beside_hostile_ones"], tally,
                  AIRLOCK_SERVE_SECONDS=options.seconds)
    if options.kills:
        seed = {} if options.seed is None else {"AIRLOCK_SERVE_SEED": options.seed}
        load_test(["Load.test_killed_at_random_moments_it_is_back_and_nothing_is_left"], tally,
                  AIRLOCK_SERVE_KILLS=options.kills, **seed)
    print(f"{tally.passed} passed, {tally.failed} failed")
    sys.exit(0 if tally.failed == 0 and tally.passed > 0 else 1)


if __name__ == "__main__":
    main()
