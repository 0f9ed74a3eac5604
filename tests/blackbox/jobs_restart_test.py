#!/usr/bin/env python3
"""Jobs whose service, or whose workspace, ends under them."""

import contextlib
import os
import pathlib
import signal
import sys
import time

import case
from jobs_test import SLOW, Runner


def keeper_of(program):
    """The pid of the keeper below which a process runs that was started as `program`."""
    for entry in pathlib.Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError, IndexError):
            pid = int(entry.name)
            if (entry / "cmdline").read_bytes().split(b"\0")[:-1] != program:
                continue
            while os.path.basename(os.readlink(f"/proc/{pid}/exe")) != "airlock-jail":
                stat = pathlib.Path(f"/proc/{pid}/stat").read_text()
                pid = int(stat.rsplit(")", 1)[1].split()[1])
            return pid
    return None


class Restart(case.Case):
    """A job goes on when daemon and launcher are killed, and when the service is ended."""

    def test_inference_without_a_prep_is_adopted_too(self):
        with Runner(self.folder) as runner:
            runner.commit(airlock_yaml="inference: [python3, inference.py]\n", inference_py="""
import time
for i in range(40):
    print("step", i, flush=True); time.sleep(0.1)
open("/output/done", "w").write("yes")
""")
            job = runner.submit()
            runner.wait(job, ("inference",))
            while "step 3" not in runner.log_text(job):
                time.sleep(0.05)
            sealed_at = runner.job(job)["seal"]["sealed_at"]
            runner.service.stop()
            runner.start()
            record = runner.wait(job, ("completed",))
            self.assertEqual(record["attempts"], 1)
            self.assertEqual(record["seal"]["sealed_at"], sealed_at)
            text = runner.log_text(job)
            for i in range(40):
                self.assertEqual(text.count(f"step {i}\n"), 1, i)

    def test_the_attempt_after_a_lost_workspace_begins_anew(self):
        program = """
import os, subprocess, sys
if sys.argv[2] == "inference":
    open("/output/copy", "w").write(open("/input/input_data").read())
"""
        nap = ["sleep", f"60.{os.getpid()}"]
        with Runner(self.folder) as runner:
            (self.folder / "files" / "one").write_text("wanted")
            runner.commit(inference_py=program + f"    subprocess.run({nap})\n")
            job = runner.submit(input_data_s3_path=f"file://{self.folder}/files/one")
            runner.wait(job, ("inference",))
            while (keeper := keeper_of([word.encode() for word in nap])) is None:
                time.sleep(0.05)
            commit = runner.commit(inference_py=program)
            os.kill(keeper, signal.SIGKILL)
            record = runner.wait(job, ("completed",))
            self.assertEqual(record["attempts"], 2)
            self.assertEqual(record["repo_commit"], commit)
            self.assertEqual(runner.output(job, "copy"), b"wanted")

    def test_what_was_reached_is_added_up_over_a_restart(self):
        url = 'urllib.request.urlopen(os.environ["MODEL_URL"]).read()'
        with Runner(self.folder) as runner:
            runner.commit(inference_py=f"""
import os, sys, time, urllib.request
if sys.argv[2] == "prep":
    {url}; {url}
    print("first", flush=True)
    for _ in range(80):
        time.sleep(0.1)
    {url}
""")
            job = runner.submit()
            runner.wait(job, ("prep",))
            while "first" not in runner.log_text(job):
                time.sleep(0.05)
            deadline = time.monotonic() + 10 * SLOW
            while not runner.job(job)["egress"]:  # what is not yet in the record is lost
                self.assertLess(time.monotonic(), deadline)
                time.sleep(0.05)
            runner.service.stop()
            runner.start()
            record = runner.wait(job, ("completed",))
            self.assertEqual(record["attempts"], 1)
            reached = [entry["connections"] for entry in record["egress"]
                       if entry["phase"] == "prep" and entry["allowed"]]
            self.assertEqual(reached, [3], record["egress"])

    def test_folders_that_nobody_knows_go_when_they_are_older_than_history(self):
        with Runner(self.folder) as runner:
            jobs = self.folder / "state/service/jobs"
            runner.commit()
            known = runner.submit()
            runner.wait(known, ("completed",))
            runner.service.stop()
            owner = jobs.stat()
            month = time.time() - 31 * 24 * 3600
            for name, changed in (("job_000000000001", month), ("job_000000000002", time.time()),
                                  (known, month)):
                (jobs / name).mkdir(exist_ok=True)
                os.chown(jobs / name, owner.st_uid, owner.st_gid)
                os.utime(jobs / name, (changed, changed))
            runner.start()
            runner.service.wait_for("job.orphan")
            deadline = time.monotonic() + 10 * SLOW
            while (jobs / "job_000000000001").exists():
                self.assertLess(time.monotonic(), deadline)
                time.sleep(0.05)
            # Nothing else may have them: neither a young one nor one that the store knows goes.
            self.assertTrue((jobs / "job_000000000002").exists())
            self.assertTrue((jobs / known / "receipt.json").exists())

    def test_a_running_job_is_adopted_with_its_logs(self):
        with Runner(self.folder) as runner:
            runner.commit(inference_py="""
import sys, time
for i in range(40):
    print(sys.argv[2], i, flush=True); time.sleep(0.1)
open("/output/done", "w").write("yes")
""")
            job = runner.submit()
            runner.wait(job, ("prep",))
            while "prep 3" not in runner.log_text(job):
                time.sleep(0.05)
            runner.service.stop()
            runner.start()
            self.assertTrue([line for line in runner.service.log
                             if line["event"] == "job.adopt" and line["job_id"] == job])
            record = runner.wait(job, ("completed",))
            self.assertEqual(record["attempts"], 1)
            text = runner.log_text(job)
            for phase in ("prep", "inference"):
                for i in range(40):
                    self.assertEqual(text.count(f"{phase} {i}\n"), 1, (phase, i))


if __name__ == "__main__":
    sys.exit(case.run_tests(__name__))
