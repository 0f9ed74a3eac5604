#!/usr/bin/env python3
"""Jobs on GPUs: a stand-in for NVIDIA's library with eight H200s, CDI specs with nodes of the
test's own, and the real service.

    tests/blackbox/gpu_jobs_test.py
"""

import json
import sys
import time

import case
from jobs_test import Runner

from support import airlock

STANDIN = airlock.binary().parent.parent / "tests" / "libnvidia-ml-standin.so"
INFERENCE = """
import glob, os, pathlib
seen = sorted(glob.glob('/dev/nvidia*')) + [os.environ['CUDA_VISIBLE_DEVICES']]
pathlib.Path('/output/seen').write_text(' '.join(seen))
"""
ENDLESS = """
import os, time
while os.environ['PHASE'] == 'inference': time.sleep(1)
"""


def uuid(index):
    return f"GPU-{index:08x}-0000-4000-8000-000000000000"


def spec():
    """By UUID all of them but the first two, which only have their index."""
    def node(index):
        return {"deviceNodes": [{"path": f"/dev/nvidia{index}", "hostPath": "/dev/full"}]}

    return {"cdiVersion": "0.6.0", "kind": "nvidia.com/gpu",
            "devices": [{"name": str(i) if i < 2 else uuid(i), "containerEdits": node(i)}
                        for i in range(8)]}


class GpuHost(case.Case):
    """A service with eight GPUs; say() has some of them be something else than well."""
    RUNNER = Runner
    ATTEMPTS = 2

    def setUp(self):
        super().setUp()
        self.assertTrue(STANDIN.exists(), f"{STANDIN} is not built")
        self.folder.chmod(0o755)  # the daemon is an ordinary user
        self.state = self.folder / "nvml-state"
        self.say("")
        specs = self.folder / "cdi"
        specs.mkdir(mode=0o755)
        (specs / "nvidia.json").write_text(json.dumps(spec()))
        self.runner = self.RUNNER(
            self.folder, attempts=self.ATTEMPTS,
            env={"AIRLOCK_HARDWARE_NVML_PATH": str(STANDIN),
                 "AIRLOCK_STANDIN_NVML": str(self.state), "AIRLOCK_CDI_DIR": str(specs)})
        self.runner.__enter__()
        self.addCleanup(self.runner.__exit__, None, None, None)

    def say(self, facts):
        new = self.folder / "nvml-state.new"
        new.write_text(facts)
        new.chmod(0o644)
        new.rename(self.state)

    def wait_for_gpus(self, **wanted):
        deadline = time.monotonic() + 30 * case.SLOW
        while True:
            status = self.runner.json("GET", "/v1/status")
            if all(status[name] == value for name, value in wanted.items()):
                return status
            self.assertLess(time.monotonic(), deadline, status)
            time.sleep(0.1)


class GpuJobs(GpuHost):
    def test_a_job_has_its_gpus_and_a_sick_one_is_nobodys(self):
        self.wait_for_gpus(total_gpus=8, available_gpus=8)
        self.runner.commit(inference_py=INFERENCE)
        job = self.runner.submit(weight_class="4xH200")
        record = self.runner.wait(job)
        self.assertEqual(record["status"], "completed", record)
        self.assertEqual(record["assigned_gpus"], [0, 1, 2, 3])
        self.assertEqual(self.runner.output(job, "seen").decode(),
                         "/dev/nvidia0 /dev/nvidia1 /dev/nvidia2 /dev/nvidia3 0,1,2,3")
        self.wait_for_gpus(total_gpus=8, available_gpus=8)

        self.say("gpu 2 xid 79 1\n")
        status = self.wait_for_gpus(total_gpus=7, available_gpus=7)
        self.assertIn("fallen off the bus", status["gpu_note"])
        refused = self.runner.json("POST", "/v1/jobs/submit",
                                   self.runner.servers.job(weight_class="8xH200"), 422)
        self.assertIn("8", json.dumps(refused))
        wrong = self.runner.json("POST", "/v1/jobs/submit",
                                 self.runner.servers.job(weight_class="1xA100"), 422)
        self.assertIn("its GPUs are H200", json.dumps(wrong))

        quarantine = self.folder / "state" / "service" / "gpus"
        self.assertEqual([file.name for file in quarantine.iterdir()], [uuid(2)])
        (quarantine / uuid(2)).unlink()
        self.wait_for_gpus(total_gpus=8, available_gpus=8)

    def test_a_job_keeps_its_gpus_when_the_daemon_dies(self):
        self.wait_for_gpus(available_gpus=8)
        self.runner.commit(inference_py=ENDLESS)
        job = self.runner.submit(weight_class="2xH200")
        self.runner.wait(job, ("inference",))
        self.say("gpu 0 processes 4711\ngpu 1 processes 4711\n")
        self.assertEqual(self.runner.service.kill("daemon"), 1)
        self.runner.service.wait_for("serve.ready", count=2)
        for _ in range(3):
            self.wait_for_gpus(total_gpus=8, available_gpus=6)
            other = self.runner.json("POST", "/v1/jobs/submit",
                                     self.runner.servers.job(weight_class="8xH200"), 201)
            self.runner.call("DELETE", f"/v1/jobs/{other['job_id']}", expect=200)
        self.assertEqual(self.runner.job(job)["status"], "inference")
        self.runner.call("DELETE", f"/v1/jobs/{job}", expect=200)
        self.runner.wait(job, ("cancelled",))
        time.sleep(1)
        self.wait_for_gpus(total_gpus=8, available_gpus=6)  # somebody still uses them
        self.say("")
        self.wait_for_gpus(total_gpus=8, available_gpus=8)


if __name__ == "__main__":
    sys.exit(case.run_tests(__name__))
