#!/usr/bin/env python3
"""Faults through a whole job, on the real thing: S3 away, git servers that hang or never stop, a
GPU that fails, a clock that is set back (those of the disk: jobs_disk_test.py). Each test has a
control that shows that the fault was there.

    tests/blackbox/jobs_faults_test.py [S3Away Git Gpu GpuOfTheLastAttempt Clock]
"""

import base64
import datetime
import os
import signal
import sys
import tempfile
import time
import urllib.request

import case
from faults_case import SLOW, STEPS, Faults, FaultRunner
from gpu_jobs_test import GpuHost

from support import faults, s3_server

WAIT = """
import os, sys, time
if sys.argv[2] == "inference":
    while True: time.sleep(0.1)
"""


class S3Away(Faults):
    """A real S3 server, and one service for all that waits long enough for it."""
    INPUT = os.urandom(3 << 20)

    @classmethod
    def setUpClass(cls):
        cls.server = cls.enterClassContext(s3_server.S3Server())
        cls.server.make_bucket("jobs")
        status, body = cls.server.request("PUT", "/jobs/in/data", body=cls.INPUT)
        assert status == 200, body
        folder = cls.enterClassContext(tempfile.TemporaryDirectory(prefix="faults-"))
        cls.runner = cls.enterClassContext(
            FaultRunner(folder, env=cls.server.environment()))

    def setUp(self):
        super().setUp()
        if self.server.processes.get("gateway") is None:
            self.server.start_gateway()

    def submit(self, runner=None, **more):
        runner = runner or self.runner
        runner.commit(inference_py="""
import os, shutil, sys, time
if sys.argv[2] == "inference":
    time.sleep(float(os.environ["PAUSE"]))
    if os.path.exists("/input/input_data"): shutil.copy("/input/input_data", "/output/copy")
    else: open("/output/copy", "w").write("x")
""")
        pause = more.pop("pause", 0)
        return runner.submit(custom_env_vars={"PAUSE": str(pause)}, **more)

    def test_inputs_and_outputs_wait_for_a_server_that_comes_back(self):
        self.server.kill_gateway()
        self.assertTrue(faults.refuses_connections(self.server.port))
        job = self.submit(input_data_s3_path="s3://jobs/in/data", pause=2,
                          output_data_s3_path="s3://jobs/out/")
        self.runner.wait_for_phase(job, "downloading_input")
        time.sleep(2)
        self.assertEqual(self.runner.job(job)["current_phase"], "downloading_input")
        self.server.start_gateway()
        self.runner.wait(job, ("inference",))
        self.server.kill_gateway()
        self.assertTrue(faults.refuses_connections(self.server.port))
        self.runner.wait_for_phase(job, "uploading_output")
        time.sleep(2)
        self.assertEqual(self.runner.job(job)["current_phase"], "uploading_output")
        self.server.start_gateway()
        record = self.runner.wait(job, ("completed",))
        self.assertEqual(record["attempts"], 1)
        self.assertEqual(self.server.request("GET", "/jobs/out/copy"), (200, self.INPUT))
        status, manifest = self.server.request("GET", "/jobs/out/airlock-manifest.json")
        self.assertEqual(status, 200)
        self.assertIn(record["outputs"][0]["sha256"], manifest.decode())

    def test_a_server_that_does_not_answer_is_waited_for_and_cancel_works_meanwhile(self):
        gateway = self.server.processes["gateway"]
        self.addCleanup(os.kill, gateway.pid, signal.SIGCONT)
        faults.stand_still(gateway.pid)
        with self.assertRaises(OSError):  # the control: it takes the connection and says nothing
            urllib.request.urlopen(self.server.url, timeout=1)
        waiting = self.submit(input_data_s3_path="s3://jobs/in/data")
        cancelled = self.submit(input_data_s3_path="s3://jobs/in/data")
        for job in (waiting, cancelled):
            self.runner.wait_for_phase(job, "downloading_input")
        self.cancels(self.runner, cancelled)
        self.assertEqual(self.runner.job(waiting)["current_phase"], "downloading_input")
        os.kill(gateway.pid, signal.SIGCONT)
        self.runner.wait(waiting, ("completed",))
        self.assertEqual(self.runner.output(waiting, "copy"), self.INPUT)

    def test_a_server_that_does_not_come_back_ends_the_job_and_nothing_is_left(self):
        with FaultRunner(self.folder, ("storage", "s3_attempts: 2"),
                         env=self.server.environment()) as runner:
            job = self.submit(runner, output_data_s3_path="s3://jobs/gone/", pause=2)
            runner.wait(job, ("inference",))
            self.server.kill_gateway()
            self.assertTrue(faults.refuses_connections(self.server.port))
            record = runner.wait(job, ("failed",))
            self.assertEqual(record["error_code"], "upload_failed")
            for part in ("S3 upload failed: ", "cannot be reached", "after 2 attempts"):
                self.assertIn(part, record["error_message"])
            # What it has computed is not lost, and the receipt says how it ended.
            self.assertEqual(runner.output(job, "copy"), b"x")
            self.assertTrue(record["has_receipt"])
            job = self.submit(runner, input_data_s3_path="s3://jobs/in/data")
            record = runner.wait(job, ("failed",))
            self.assertEqual(record["error_code"], "input_failed")
            self.assertIn("S3 download failed: ", record["error_message"])
            self.assert_nothing_is_held(runner)


class Git(Faults):
    SECONDS = 4

    @classmethod
    def setUpClass(cls):
        folder = cls.enterClassContext(tempfile.TemporaryDirectory(prefix="faults-"))
        cls.runner = cls.enterClassContext(
            FaultRunner(folder, ("execution", f"repo_clone_timeout_seconds: {cls.SECONDS}")))
        cls.runner.commit()

    def check(self, fault):
        runner = self.runner
        with faults.git_fault(runner.servers.git, fault) as server:
            jobs = [runner.submit() for _ in range(2)]
            self.assertTrue(server.met.wait(20 * SLOW), "nobody came to the fault")
            runner.wait(jobs[1], ("cloning",))
            self.cancels(runner, jobs[1])
            record = runner.wait(jobs[0], ("failed",))
            self.assertEqual(record["error_code"], "clone_timeout", record["error_message"])
            self.assertIn(f"clone timeout after {self.SECONDS} seconds", record["error_message"])
            clone = record["phases"][0]
            self.assertEqual(clone["result"]["outcome"], "wall_timeout")
            self.assertEqual(record["attempts"], 1)
            poured = server.poured
        self.assert_nothing_is_held(runner)
        runner.wait(runner.submit(), ("completed",))
        return poured

    def test_a_server_that_takes_a_connection_and_is_silent(self):
        self.check("silent")

    def test_a_server_that_takes_a_request_and_hangs(self):
        self.check("hang")

    def test_a_server_whose_progress_has_no_end(self):
        self.assertGreater(self.check("endless_pack"), 1 << 20)

    def test_a_server_whose_references_have_no_end(self):
        """They are kept in memory, so that its limit may come first."""
        runner = self.runner
        with faults.git_fault(runner.servers.git, "endless") as server:
            record = runner.wait(runner.submit(memory_gb=0.25), ("failed",))
            self.assertGreater(server.poured, 1 << 20)
        self.assertIn(record["error_code"], ("clone_timeout", "clone_failed"))
        self.assertTrue("clone timeout" in record["error_message"]
                        or "memory limit" in record["error_message"], record["error_message"])
        self.assert_nothing_is_held(runner)


class GpuFaults(GpuHost, Faults):
    RUNNER = FaultRunner

    @staticmethod
    def payload(receipt):
        return base64.b64decode(receipt["payload"]).decode()


class Gpu(GpuFaults):
    def test_a_job_whose_gpu_fails_is_tried_again_on_another(self):
        """The control is the second job, whose GPUs are other ones, and an error that is the
        program's own."""
        runner = self.runner
        runner.commit(inference_py=WAIT)
        self.wait_for_gpus(available_gpus=8)
        sick, well = (runner.submit(weight_class="1xH200") for _ in range(2))
        for job in (sick, well):
            runner.wait(job, ("inference",))
        index = runner.job(sick)["assigned_gpus"][0]
        other = runner.job(well)["assigned_gpus"][0]
        self.say(f"gpu {other} xid 31 1\n")
        time.sleep(6)
        self.assertEqual([runner.job(job)["attempts"] for job in (sick, well)], [1, 1])
        runner.commit(inference_py="open('/output/done', 'w').write('yes')")
        self.say(f"gpu {other} xid 31 1\ngpu {index} xid 79 1\n")
        record = runner.wait(sick, ("completed",))
        self.assertEqual(record["attempts"], 2)
        self.assertNotEqual(record["assigned_gpus"], [index])
        cause = f"GPU {index} ("
        retry = runner.events("job.retry", sick)[0]["detail"]
        self.assertIn(cause, retry)
        self.assertIn("Xid 79: the GPU has fallen off the bus", retry)
        receipt = runner.json("GET", f"/v1/jobs/{sick}/receipt")
        self.assertIn("Xid 79", self.payload(receipt))
        self.assertEqual(runner.job(well)["status"], "inference")
        self.assertEqual(runner.job(well)["attempts"], 1)
        self.cancels(runner, well)


class GpuOfTheLastAttempt(GpuFaults):
    ATTEMPTS = 1

    def test_a_job_without_attempts_left_ends_with_the_gpu_and_its_fault(self):
        runner = self.runner
        self.wait_for_gpus(available_gpus=8)
        # It fails by its GPU before anybody has looked at that.
        runner.commit(inference_py="""
import os, sys, time
if sys.argv[2] == "inference":
    print("computing", flush=True)
    time.sleep(1)
    sys.exit("CUDA error: unspecified launch failure")
""")
        job = runner.submit(weight_class="8xH200")
        runner.wait_for_log(job, "computing")
        self.say("gpu 3 xid 48 1\n")
        record = runner.wait(job)
        self.assertEqual((record["status"], record["error_code"]), ("failed", "gpu_fault"), record)
        self.assertIn("GPU 3 (", record["error_message"])
        self.assertIn("Xid 48: a double-bit error of its memory", record["error_message"])
        self.assertIn("GPU 3 (", self.payload(runner.json("GET", f"/v1/jobs/{job}/receipt")))


class Clock(Faults):
    DAY = 86_400

    def test_the_clock_is_set_back_while_jobs_run(self):
        """For its daemon alone: this machine's clock is not touched."""
        clock = faults.TurnedClock(self.folder)
        runner = self.enterContext(FaultRunner(self.folder, ("storage", "history_days: 1"),
                                               env=clock.environment()))
        steps = runner.commit(inference_py=STEPS)
        sleeps = runner.commit(inference_py="import time\ntime.sleep(99)\n")

        def submit(commit, count=1, **more):
            return runner.submit(repo_commit=commit, custom_env_vars={"STEPS": str(count)}, **more)
        before = submit(steps)
        runner.wait(before, ("completed",))
        running = submit(steps, 80)
        runner.wait_for_log(running, "step 3\n")
        cores = runner.json("GET", "/v1/status")["cpu_cores_total"]
        waiting = submit(steps, cpu_cores=cores)
        clock.turn(-30 * self.DAY)
        # The control: whoever asks for the time is told another one.
        told = datetime.datetime.fromisoformat(runner.json("GET", "/v1/health")["timestamp"])
        now = datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None)
        self.assertLess(told, now - datetime.timedelta(days=29))
        # Who starts next prunes first, adopts what runs, and goes on with what waits.
        runner.service.stop()
        runner.start()
        timed_out = submit(sleeps, prep_timeout_seconds=2)
        jobs = [before, running, waiting, timed_out]
        states = ["completed", "completed", "completed", "timeout"]
        records = [runner.wait(job, (state,)) for job, state in zip(jobs, states)]
        self.assertEqual([record["attempts"] for record in records], [1, 1, 1, 1])
        text = runner.log_text(running)
        self.assertEqual([text.count(f"step {i}\n") for i in range(80)], [1] * 80)
        prep = records[3]["phases"][-1]["result"]
        self.assertEqual(prep["outcome"], "wall_timeout")
        self.assertLess(prep["usage"]["wall_ms"], 10_000 * SLOW)
        listed = runner.json("GET", "/v1/jobs")["jobs"]
        self.assertEqual([one["job_id"] for one in listed], jobs[::-1])
        submitted = [one["submitted_at"] for one in records]
        self.assertEqual(submitted, sorted(submitted))
        for record in records:
            times = [record["submitted_at"], record["started_at"],
                     *(phase[name] for phase in record["phases"]
                       for name in ("started_at", "ended_at")), record["completed_at"]]
            self.assertEqual(times, sorted(times), record)


if __name__ == "__main__":
    sys.exit(case.run_tests(__name__))
