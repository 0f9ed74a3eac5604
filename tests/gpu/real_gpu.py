#!/usr/bin/env python3
"""Jobs on the real GPUs of this host: NVIDIA's library, its driver, CUDA, and no stand-in.

    tests/gpu/real_gpu.py [CLASS[.TEST]]...

For a host with a GPU that nobody else uses meanwhile, by root; `./dev test` does not run it. The
CDI spec is written here, so that it needs no toolkit.
"""

import contextlib
import json
import os
import pathlib
import re
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "blackbox"))

import case  # noqa: E402
from jobs_test import Runner  # noqa: E402

PROGRAM = HERE / "cuda_driver.py"
LIBRARY_NAMES = ("cuda", "nvidia-ptxjitcompiler", "nvidia-nvvm", "nvidia-gpucomp", "nvidia-ml")
SETTLE_SECONDS = 90  # a GPU that is not clean after 60 is taken away
COMPUTE = """
import os, subprocess, sys
if sys.argv[2] == 'inference':
    with open('/output/said', 'wb') as said:
        done = subprocess.run([sys.executable, 'cuda.py', *os.environ['DO'].split()],
                              stdout=said)
    sys.exit(done.returncode)
"""


def smi(query):
    """One list of fields for each GPU."""
    done = subprocess.run(["nvidia-smi", f"--query-gpu={query}", "--format=csv,noheader,nounits"],
                          check=True, capture_output=True, text=True)
    return [[field.strip() for field in line.split(",")] for line in done.stdout.splitlines()]


def driver_files():
    """The driver's libraries, by every name that a program may open."""
    listed = subprocess.run(["ldconfig", "-p"], check=True, capture_output=True, text=True).stdout
    folders = {pathlib.Path(path).parent for path in re.findall(r"=> (\S*libcuda\.so\S*)", listed)}
    folders |= {pathlib.Path(part) for part in os.environ.get("LD_LIBRARY_PATH", "").split(":")
                if part}
    return sorted(str(path) for folder in folders for name in LIBRARY_NAMES
                  for path in folder.glob(f"lib{name}.so*"))


def cdi_spec(uuids):
    """What nvidia-ctk would say of the GPUs that are in no MIG mode."""
    shared = [path for path in ("/dev/nvidiactl", "/dev/nvidia-uvm", "/dev/nvidia-uvm-tools")
              if os.path.exists(path)]
    return {
        "cdiVersion": "0.6.0",
        "kind": "nvidia.com/gpu",
        "containerEdits": {
            "deviceNodes": [{"path": path} for path in shared],
            "mounts": [{"hostPath": path, "containerPath": path,
                        "options": ["ro", "nosuid", "nodev", "bind"]} for path in driver_files()],
        },
        "devices": [{"name": uuid, "containerEdits": {"deviceNodes": [
            {"path": f"/dev/nvidia{index}"}]}} for index, uuid in uuids],
    }


class RealGpu(case.Case):
    @classmethod
    def setUpClass(cls):
        cls.uuids = [uuid for uuid, in smi("uuid")]
        cls.kind = smi("name")[0][0].removeprefix("NVIDIA ").replace(" ", "-")

    def setUp(self):
        super().setUp()
        specs = self.folder / "cdi"
        specs.mkdir(mode=0o755)
        (specs / "nvidia.json").write_text(json.dumps(cdi_spec(smi("index,uuid")), indent=1))
        self.runner = self.enterContext(Runner(self.folder, env={"AIRLOCK_CDI_DIR": str(specs)}))
        self.wait_for_gpus(len(self.uuids))

    def wait_for_gpus(self, free, note=""):
        """The status that has so many free ones, and says `note` of the others."""
        deadline = time.monotonic() + SETTLE_SECONDS
        while True:
            status = self.runner.json("GET", "/v1/status")
            if status["available_gpus"] == free and note in (status["gpu_note"] or ""):
                return status
            self.assertLess(time.monotonic(), deadline, status)
            time.sleep(0.1)

    def submit(self, what, gpus=1, **more):
        self.runner.commit(inference_py=COMPUTE, cuda_py=PROGRAM.read_text())
        return self.runner.submit(weight_class=f"{gpus}x{self.kind if gpus else ''}",
                                  memory_gb=4, custom_env_vars={"DO": what}, **more)

    def said(self, job):
        return self.runner.output(job, "said").decode()

    @contextlib.contextmanager
    def somebody_else(self, mib):
        words = [sys.executable, str(PROGRAM), "hold", str(mib), "600"]
        with subprocess.Popen(words, stdout=subprocess.PIPE) as process:
            try:
                self.assertEqual(process.stdout.readline(), b"holding\n")
                yield process.pid
            finally:
                process.kill()

    def test_a_job_computes_on_the_gpus_that_it_leased(self):
        job = self.submit("add", len(self.uuids))
        record = self.runner.wait(job, ("completed",))
        said = json.loads(self.said(job))
        self.assertEqual(said["uuids"], self.uuids)
        self.assertEqual(said["right"], [True] * len(self.uuids))
        self.assertEqual(record["gpu_uuids"], self.uuids)
        receipt, key = self.folder / "receipt.json", self.folder / "key.json"
        receipt.write_bytes(self.runner.call("GET", f"/v1/jobs/{job}/receipt", expect=200)[1])
        key.write_bytes(self.runner.call("GET", "/v1/receipts/key", expect=200)[1])
        done = self.airlock("verify", receipt, "--key", key, "--json")
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertIn(self.uuids[0], done.stdout.decode())
        self.wait_for_gpus(len(self.uuids))

    def test_a_job_without_gpus_sees_none(self):
        job = self.submit("see", 0)
        self.runner.wait(job, ("failed",))
        self.assertIn("exit code 3", self.runner.job(job)["error_message"])

    def test_a_program_that_faults_is_to_blame_and_not_the_gpu(self):
        job = self.submit("fault")
        record = self.runner.wait(job, ("failed",))
        self.assertEqual(record["error_code"], "inference_failed", record)
        self.wait_for_gpus(len(self.uuids))
        job = self.submit("add")
        self.runner.wait(job, ("completed",))

    def test_a_gpu_that_somebody_else_uses_is_not_leased(self):
        free = len(self.uuids) - 1
        with self.somebody_else(2048) as pid:
            self.wait_for_gpus(free, f"process {pid}")
            job = self.submit("add", len(self.uuids))
            time.sleep(3)
            self.assertEqual(self.runner.job(job)["status"], "pending")
        self.runner.wait(job, ("completed",))
        self.wait_for_gpus(free + 1)

    def test_a_job_that_is_cancelled_gives_the_memory_back(self):
        job = self.submit("hold 4096 600")
        self.runner.wait(job, ("inference",))
        deadline = time.monotonic() + 60
        index = self.runner.job(job)["assigned_gpus"][0]
        while int(smi("memory.used")[index][0]) < 4096:
            self.assertLess(time.monotonic(), deadline, "it never held the memory")
            time.sleep(0.2)
        self.assertEqual(self.runner.json("GET", "/v1/status")["available_gpus"],
                         len(self.uuids) - 1)
        self.runner.call("DELETE", f"/v1/jobs/{job}", expect=200)
        self.runner.wait(job, ("cancelled",))
        self.wait_for_gpus(len(self.uuids))
        self.assertLess(int(smi("memory.used")[index][0]), 4096)

    def test_a_job_computes_on_while_the_daemon_dies(self):
        job = self.submit("hold 1024 12")
        self.runner.wait(job, ("inference",))
        self.assertEqual(self.runner.service.kill("daemon"), 1)
        self.runner.service.wait_for("serve.ready", count=2)
        self.assertEqual(self.runner.json("GET", "/v1/status")["available_gpus"],
                         len(self.uuids) - 1)
        record = self.runner.wait(job, ("completed",))
        self.assertEqual(record["attempts"], 1)
        self.assertIn("holding", self.said(job))
        self.wait_for_gpus(len(self.uuids))

    def test_metrics_say_what_nvidia_smi_says(self):
        with self.somebody_else(3000):
            self.wait_for_gpus(len(self.uuids) - 1)
            time.sleep(6)  # until the next reading
            page = self.runner.call("GET", "/metrics", expect=200)[1].decode()
            used, total, heat = smi("memory.used,memory.total,temperature.gpu")[0]

        def value(name):
            line = rf"^sandbox_gpu_{name}\{{[^}}]*\}} (\S+)$"
            return float(re.search(line, page, re.MULTILINE)[1])
        self.assertAlmostEqual(value("memory_total_bytes") / 2**20, float(total), delta=1)
        self.assertAlmostEqual(value("memory_used_bytes") / 2**20, float(used), delta=64)
        self.assertAlmostEqual(value("temperature_celsius"), float(heat), delta=5)

    def test_doctor_says_what_there_is(self):
        done = self.airlock("doctor")
        self.assertIn(f"{len(self.uuids)} of NVIDIA", done.stdout.decode())


if __name__ == "__main__":
    sys.exit(case.run_tests(__name__))
