#!/usr/bin/env python3
"""What a job's disk may do to it, on the real thing: the state directory is full, or takes nothing,
or its database is locked by somebody else. Each test has a control that shows that the fault was
there.

    tests/blackbox/jobs_disk_test.py [FullDisk ReadOnly Locked]
"""

import json
import sys
import threading
import time

import case
from faults_case import SLOW, Faults, FaultRunner

from support import faults


class FullDisk(Faults):
    """The state directory is on a disk of its own that somebody fills."""

    def setUp(self):
        super().setUp()
        self.disk = self.enterContext(faults.SmallDisk(self.folder, 192))
        self.runner = self.enterContext(
            FaultRunner(self.folder, state=self.disk.path / "state"))

    def fill(self):
        self.disk.fill()
        self.assertFalse(self.disk.takes_a_byte())

    def test_submits_are_refused_until_there_is_room_and_none_is_lost(self):
        runner = self.runner
        runner.commit()
        self.fill()
        accepted = []
        large = {"LARGE": "x" * 60_000}
        for i in range(100):
            answer = runner.try_submit(f"k{i}", custom_env_vars=large)
            if answer[0] != 201:
                break
            accepted.append(json.loads(answer[2])["job_id"])
        self.assert_refused_for_now(answer, "the disk is full")
        self.assertEqual(runner.call("GET", "/v1/status")[0], 200)
        # None of those that wait is begun, and so none is lost to the disk.
        time.sleep(1.5)
        for job in accepted:
            self.assertEqual(runner.job(job)["status"], "pending")
        self.disk.free()
        answer = runner.try_submit(f"k{i}", custom_env_vars=large)
        self.assertEqual(answer[0], 201, answer)
        accepted.append(json.loads(answer[2])["job_id"])
        for job in accepted[2:-1]:
            runner.call("DELETE", f"/v1/jobs/{job}", expect=200)
        for job in {accepted[0], accepted[-1]}:
            self.assertEqual(runner.wait(job, ("completed",))["attempts"], 1)
        self.assertEqual(len(runner.json("GET", "/v1/jobs")["jobs"]), len(accepted))

    def test_full_while_it_is_cloned(self):
        runner = self.runner
        runner.commit()
        runner.servers.git.hold.clear()
        self.addCleanup(runner.servers.git.hold.set)
        job = runner.submit()
        runner.wait(job, ("cloning",))
        time.sleep(0.5)
        self.fill()
        runner.servers.git.hold.set()
        time.sleep(4)
        self.assertNotIn(runner.job(job)["status"], ("completed", "failed"))
        self.disk.free()
        runner.wait(job, ("completed",))
        self.assertEqual(runner.output(job, "done"), b"yes")

    def test_full_from_prep_to_the_end_of_inference(self):
        """By another process, and by what the job itself leaves: nothing is computed again."""
        runner = self.runner
        runner.commit(inference_py="""
import os, sys, urllib.request
if sys.argv[2] == "prep":
    print("prep has begun", flush=True)
    url = os.environ["MODEL_URL"].replace("model.json", "slow")
    urllib.request.urlopen(url, timeout=60).read()
else:
    for i in range(2000): print("x" * 100)
    with open("/output/large", "wb") as f:
        for i in range(20): f.write(os.urandom(1 << 20))
""")
        runner.servers.model.hold.clear()
        self.addCleanup(runner.servers.model.hold.set)
        job = runner.submit()
        runner.wait_for_log(job, "prep has begun")
        self.fill()
        runner.servers.model.hold.set()
        time.sleep(4)
        self.assertNotIn(runner.job(job)["status"], ("completed", "failed"))
        self.disk.free()
        self.disk.fill(leave=8 << 20)  # enough for the database, and not for what it leaves
        deadline = time.monotonic() + 30 * SLOW
        while not runner.events("job.waits_for_disk", job):
            self.assertLess(time.monotonic(), deadline, runner.job(job))
            time.sleep(0.1)
        self.assertEqual(runner.job(job)["current_phase"], "uploading_output")
        self.disk.free()
        record = runner.wait(job, ("completed",))
        self.assertEqual(record["attempts"], 1)
        self.assertEqual(record["outputs"][0]["size"], 20 << 20)
        self.assertEqual(len(runner.output(job, "large")), 20 << 20)

    def test_a_job_that_fills_the_disk_itself_can_be_cancelled_and_others_go_on(self):
        runner = self.runner
        runner.commit(inference_py="""
import os, sys
if sys.argv[2] == "inference" and "LARGE" in os.environ:
    with open("/output/large", "wb") as f:
        for i in range(48): f.write(os.urandom(1 << 20))
""")
        self.disk.fill(leave=40 << 20)
        before = self.disk.free_bytes()
        job = runner.submit(custom_env_vars={"LARGE": "1"})
        deadline = time.monotonic() + 60 * SLOW
        while not runner.events("job.waits_for_disk", job):
            self.assertLess(time.monotonic(), deadline, runner.job(job))
            time.sleep(0.1)
        runner.wait(runner.submit(custom_env_vars={}), ("completed",))
        self.cancels(runner, job)
        self.assert_nothing_is_held(runner)
        self.assertGreater(self.disk.free_bytes(), before - (4 << 20))


class ReadOnly(Faults):
    def test_a_state_directory_that_takes_nothing_for_a_time(self):
        disk = self.enterContext(faults.SmallDisk(self.folder, 192))
        runner = self.enterContext(FaultRunner(self.folder, state=disk.path / "state"))
        job = runner.submit_steps(30)
        runner.wait_for_log(job, "step 3\n")
        service = disk.path / "state/service"
        with faults.read_only(disk.path, service / "jobs.db", service / "jobs.db-wal"):
            self.assertFalse(disk.takes_a_byte())
            with self.assertRaises(OSError):
                (service / "control").write_text("x")
            self.assert_refused_for_now(runner.try_submit("k"), "does not take what is written")
            time.sleep(4)
            # It has ended meanwhile, and nobody could say so.
            self.assertEqual(runner.job(job)["status"], "inference")
            self.assertTrue(runner.events("job.save_failed", job))
        record = runner.wait(job, ("completed",))
        self.assertEqual(record["attempts"], 1)
        self.assertEqual(runner.output(job, "done"), b"yes")
        again = runner.try_submit("k", custom_env_vars={"STEPS": "1"})
        self.assertEqual(again[0], 201, again)
        runner.wait(json.loads(again[2])["job_id"], ("completed",))


class Locked(Faults):
    def setUp(self):
        super().setUp()
        self.runner = self.enterContext(FaultRunner(self.folder))
        self.database = self.folder / "state/service/jobs.db"

    def test_a_lock_for_seconds_is_waited_for_and_what_runs_goes_on(self):
        runner = self.runner
        job = runner.submit_steps(70)
        runner.wait_for_log(job, "step 3\n")
        answers = []
        with faults.locked_database(self.database):
            self.assertTrue(faults.is_locked(self.database))
            asking = threading.Thread(target=lambda: answers.append(
                runner.try_submit("k", custom_env_vars={"STEPS": "1"})))
            asking.start()
            last = runner.log_text(job).count("step ")
            time.sleep(2)
            self.assertGreater(runner.log_text(job).count("step "), last + 5)
            self.assertEqual(answers, [])  # it waits
            self.assertEqual(runner.job(job)["status"], "inference")
        asking.join()
        self.assertEqual(answers[0][0], 201, answers)
        other = json.loads(answers[0][2])["job_id"]
        for one in (job, other):
            self.assertEqual(runner.wait(one, ("completed",))["attempts"], 1)
        text = runner.log_text(job)
        for i in range(70):
            self.assertEqual(text.count(f"step {i}\n"), 1, i)

    def test_a_lock_that_lasts_refuses_submits_and_loses_nothing(self):
        """Longer than the store waits, and over the end of a job."""
        runner = self.runner
        one_step = {"custom_env_vars": {"STEPS": "1"}}
        job = runner.submit_steps(25)
        runner.wait_for_log(job, "step 3\n")
        with faults.locked_database(self.database):
            self.assertTrue(faults.is_locked(self.database))
            started = time.monotonic()
            refused = runner.try_submit("k", **one_step)
            self.assert_refused_for_now(refused, "another process has it locked")
            self.assertGreater(time.monotonic() - started, 4)  # it has waited first
            # It has ended meanwhile, but nobody can say so yet.
            self.assertEqual(runner.job(job)["status"], "inference")
            status = runner.call("DELETE", f"/v1/jobs/{job}")[0]
            self.assertEqual(status, 503)
        record = runner.wait(job)
        self.assertEqual((record["status"], record["attempts"]), ("completed", 1))
        self.assertTrue(runner.events("job.save_failed", job))
        again = runner.try_submit("k", **one_step)
        self.assertEqual(again[0], 201)
        runner.wait(json.loads(again[2])["job_id"], ("completed",))
        self.assertEqual(len(runner.json("GET", "/v1/jobs")["jobs"]), 2)


if __name__ == "__main__":
    sys.exit(case.run_tests(__name__))
