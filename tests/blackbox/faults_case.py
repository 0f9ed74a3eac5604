"""What the suites of faults have in common: a service with jobs, and what holds whatever fails."""

import json
import time

import case
from jobs_test import Runner

SLOW = case.SLOW
STEPS = """
import os, sys, time
if sys.argv[2] == "inference":
    for i in range(int(os.environ["STEPS"])):
        print("step", i, flush=True); time.sleep(0.1)
    open("/output/done", "w").write("yes")
"""


class FaultRunner(Runner):
    """A Runner with more lines in sections of its configuration."""

    def __init__(self, folder, *more, **how):
        super().__init__(folder, **how)
        self.more = more

    def configuration(self):
        text = super().configuration()
        for section, line in self.more:
            text = text.replace(f"{section}:\n", f"{section}:\n  {line}\n", 1)
        return text

    def try_submit(self, key=None, **more):
        """(status, headers, content), whatever it is."""
        return self.service.ask("POST", "/v1/jobs/submit", self.servers.job(**more),
                                {"Idempotency-Key": key} if key else {})

    def submit_steps(self, steps, **more):
        self.commit(inference_py=STEPS)
        return self.submit(custom_env_vars={"STEPS": str(steps)}, **more)

    def wait_for_log(self, job, text, seconds=60):
        deadline = time.monotonic() + seconds * SLOW
        while text not in self.log_text(job):
            if time.monotonic() > deadline:
                raise AssertionError(f"{text} is not in the log of {self.job(job)}\n"
                                     + self.log_text(job))
            time.sleep(0.05)

    def wait_for_phase(self, job, phase, seconds=60):
        deadline = time.monotonic() + seconds * SLOW
        while self.job(job)["current_phase"] != phase:
            if time.monotonic() > deadline:
                raise AssertionError(f"not in {phase}: {self.job(job)}\n" + self.log_text(job))
            time.sleep(0.05)

    def events(self, event, job):
        with self.service.news:
            return [line for line in self.service.log
                    if line.get("event") == event and line.get("job_id") == job]


class Faults(case.Case):
    def cancels(self, runner, job, seconds=10):
        started = time.monotonic()
        runner.json("DELETE", f"/v1/jobs/{job}")
        runner.wait(job, ("cancelled",))
        self.assertLess(time.monotonic() - started, seconds * SLOW)

    def assert_refused_for_now(self, answer, *parts):
        """503, when to come back, and why."""
        status, headers, content = answer
        self.assertEqual(status, 503, content)
        self.assertGreaterEqual(int(headers["Retry-After"]), 1)
        for part in parts:
            self.assertIn(part, json.loads(content)["detail"])

    def assert_nothing_is_held(self, runner):
        """No workspace, no inputs, and all of the host is free again."""
        deadline = time.monotonic() + 20 * SLOW
        while True:
            status = runner.json("GET", "/v1/status")
            free = (status["active_jobs"] == 0
                    and status["cpu_cores_free"] == status["cpu_cores_total"])
            left = [str(path) for path in (runner.folder / "state/service/jobs").glob("*/inputs/*")]
            if free and not left:
                return
            self.assertLess(time.monotonic(), deadline, (status, left))
            time.sleep(0.1)
