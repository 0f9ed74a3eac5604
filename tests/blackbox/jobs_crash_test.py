#!/usr/bin/env python3
"""Nothing accepted is lost: daemon and launcher are killed at named points and at random moments
while jobs are submitted, cloned, built, prepared, run, uploaded and cancelled. Afterwards every job
has exactly one end, outputs are whole or absent, and nothing is left.

    JOBS_KILLS=1000 tests/blackbox/jobs_crash_test.py Random      # the soak
"""

import contextlib
import hashlib
import json
import os
import random
import re
import sys
import threading
import time
import urllib.error

import case
import jobs_test

from support import airlock, leftovers

SLOW = case.SLOW
KILLS = int(os.environ.get("JOBS_KILLS", "100"))
SEED = int(os.environ.get("JOBS_SEED", str(random.randrange(1 << 32))))
POINTS = ("job_claimed", "job_workspace_opened", "job_sandbox_made", "job_step_begun",
          "job_step_ended", "job_sealed", "job_layer_kept", "job_output_copied",
          "job_receipt_written", "job_ended", "store_before_commit", "store_committed")
PROGRAM = """
import os, pathlib, sys, time
if sys.argv[2] == "prep":
    pathlib.Path("/workspace/prepared").write_text("yes")
time.sleep(float(os.environ.get("PAUSE", "0")))
assert pathlib.Path("/workspace/prepared").read_text() == "yes"
assert pathlib.Path("/build/made").read_text() == "made"
if sys.argv[2] == "inference":
    with open("/output/large", "wb") as f:
        for _ in range(64): f.write(b"0123456789abcdef" * 4096)
    pathlib.Path("/output/done").write_text("yes")
"""
LARGE = hashlib.sha256(b"0123456789abcdef" * 4096 * 64).hexdigest()
CONTRACT = """
build: ["printf made > /build/made"]
prep: [python3, main.py, --phase, prep]
inference: [python3, main.py, --phase, inference]
"""


class Killed(case.Case):
    def setUp(self):
        super().setUp()
        self.before = leftovers.snapshot()
        self.crash = self.folder / "crash"
        self.crash.mkdir()
        self.crash.chmod(0o777)
        self.program = [airlock.binary().parent / "airlock-daemon-testhooks", "serve"]

    @contextlib.contextmanager
    def runner(self):
        """One whose daemon dies where a file below `crash` says so, and is started again."""
        with jobs_test.Runner(self.folder, attempts=50, program=self.program,
                              env={"AIRLOCK_TEST_CRASH": str(self.crash)}) as runner:
            runner.servers.repository.commit({"airlock.yaml": CONTRACT, "main.py": PROGRAM})
            yield runner
        # What outlives a service on purpose: jobs that still run. None does here.
        self.assertEqual(leftovers.remaining(self.before), [])

    def submit(self, runner, pause=0.0, seconds=60, key=None, **more):
        """Like a client that asks again, with the same key, until it is answered."""
        body = runner.servers.job(**more)
        body["custom_env_vars"] = {"PAUSE": str(pause)}
        deadline = time.monotonic() + seconds * SLOW
        key = key or os.urandom(8).hex()
        while True:
            try:
                return runner.json("POST", "/v1/jobs/submit", body, 201,
                                   headers={"Idempotency-Key": key})["job_id"]
            except (OSError, urllib.error.URLError, AssertionError, ValueError):
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)

    def ended(self, runner, job, seconds=120):
        deadline = time.monotonic() + seconds * SLOW
        record = None
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError, urllib.error.URLError, AssertionError, ValueError):
                record = runner.job(job)
                if record["status"] in jobs_test.ENDED:
                    return record
            time.sleep(0.1)
        self.fail(f"{job} has no end: {record}")
        return None

    def check(self, runner, record):
        """What a job that has completed must have left, and what any other must not."""
        self.assertTrue(record["has_receipt"] or record["status"] == "cancelled", record)
        outputs = {output["path"]: output for output in record["outputs"]}
        if record["status"] != "completed":
            # With as many attempts as there are here, no kill makes a job fail.
            self.assertEqual(record["status"], "cancelled", record)
            return
        self.assertEqual(set(outputs), {"done", "large"})
        self.assertEqual(outputs["large"]["sha256"], LARGE)
        content = runner.output(record["job_id"], "large")
        self.assertEqual(hashlib.sha256(content).hexdigest(), LARGE)


class Points(Killed):
    def test_the_points_are_those_of_the_sources(self):
        found = set()
        for folder in ("src/runner/jobs", "src/store"):
            for path in (airlock.ROOT / folder).rglob("*.cc"):
                found |= set(re.findall(r'base::crash_point\("(\w+)"\)', path.read_text()))
        self.assertEqual(found, set(POINTS))

    def test_killed_at_each_point_of_a_job(self):
        with self.runner() as runner:
            for point in POINTS:
                with self.subTest(point=point):
                    # Another repository each time: what is built is not found in the cache.
                    runner.servers.repository.commit(
                        {"airlock.yaml": CONTRACT, "main.py": PROGRAM, "point": point})
                    (self.crash / point).write_text("")
                    job = self.submit(runner)
                    record = self.ended(runner, job)
                    self.assertFalse((self.crash / point).exists(), f"nobody came to {point}")
                    self.assertEqual(record["status"], "completed", record)
                    self.check(runner, record)


class Random(Killed):
    def test_killed_at_random_moments_every_job_has_one_end(self):
        print(f"seed {SEED}", flush=True)
        chance = random.Random(SEED)
        jobs, cancelled = [], set()
        stop = threading.Event()
        self.program = [airlock.binary(), "serve"]
        with self.runner() as runner:
            def kill():
                for _ in range(KILLS):
                    if stop.wait(chance.uniform(0.05, 0.9)):
                        return
                    runner.service.kill(*chance.choice(
                        (("daemon",), ("launcher",), ("daemon", "launcher"))))
                stop.set()

            killer = threading.Thread(target=kill)
            killer.start()
            try:
                while not stop.is_set():
                    running = [job for job in jobs[-6:]]
                    jobs.append(self.submit(runner, pause=chance.uniform(0, 1.5),
                                            cpu_cores=0.5, memory_gb=0.25))
                    if running and chance.random() < 0.2:
                        victim = chance.choice(running)
                        cancelled.add(victim)
                        with contextlib.suppress(OSError, urllib.error.URLError, AssertionError):
                            runner.call("DELETE", f"/v1/jobs/{victim}")
                    stop.wait(chance.uniform(0.1, 0.5))
            finally:
                stop.set()
                killer.join()
            ends, attempts = {}, 0
            for job in jobs:
                record = self.ended(runner, job, 300)
                self.check(runner, record)
                ends[record["status"]] = ends.get(record["status"], 0) + 1
                attempts = max(attempts, record["attempts"])
                if record["status"] == "cancelled":
                    self.assertIn(job, cancelled)
                # An end is an end.
                self.assertEqual(runner.job(job)["status"], record["status"])
            print(f"{KILLS} kills, {len(jobs)} jobs: {json.dumps(ends)}, at most {attempts} "
                  "attempts", flush=True)
            self.assertEqual(sum(ends.values()), len(set(jobs)))
            status = runner.json("GET", "/v1/status")
            self.assertEqual(status["active_jobs"], 0)
            self.assertEqual(status["cpu_cores_free"], status["cpu_cores_total"])


if __name__ == "__main__":
    sys.exit(case.run_tests(__name__))
