#!/usr/bin/env python3
"""Jobs, on the real thing: a git server over https, a prep phase with a gateway, an inference phase
without anything, outputs, logs and a receipt that verifies."""

import contextlib
import hashlib
import json
import os
import pathlib
import re
import sys
import tempfile
import time
import urllib.error
import urllib.request

import case
import service

from support import airlock, job_servers

EXAMPLE = airlock.ROOT / "examples/job"
ENDED = ("completed", "failed", "timeout", "cancelled")
SLOW = case.SLOW
DEFAULT_INFERENCE = "import pathlib; pathlib.Path('/output/done').write_text('yes')\n"


class Runner:
    """A service with jobs, its servers, and what a client does with them."""

    def __init__(self, folder, attempts=2, state=None, **how):
        self.folder = pathlib.Path(folder)
        self.state = state or self.folder / "state"
        self.attempts = attempts
        self.how = how  # of service.Service

    def __enter__(self):
        self.stack = contextlib.ExitStack()
        self.servers = self.stack.enter_context(job_servers.JobServers(self.folder))
        (self.folder / "airlock.yaml").write_text(self.configuration())
        self.start()
        return self

    def __exit__(self, *_):
        self.stack.close()

    def configuration(self):
        return self.servers.configuration(self.attempts)

    def start(self):
        self.service = service.Service("--config", str(self.folder / "airlock.yaml"),
                                       "--state-dir", str(self.state), "--jobs", "true",
                                       **self.how)
        self.stack.enter_context(self.service)

    def commit(self, **files):
        """inference.py and requirements.txt, and what is named: `_` is a dot, `__` a slash."""
        names = {name.replace("__", "/").replace("_", "."): text for name, text in files.items()}
        return self.servers.repository.commit(
            {"inference.py": DEFAULT_INFERENCE, "requirements.txt": "", **names})

    def call(self, method, path, body=None, headers=None, expect=None):
        request = urllib.request.Request(
            self.service.url + path, method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json", **(headers or {})})
        try:
            with urllib.request.urlopen(request, timeout=30 * SLOW) as answer:
                status, content = answer.status, answer.read()
        except urllib.error.HTTPError as error:
            status, content = error.code, error.read()
        if expect is not None and status != expect:
            raise AssertionError(f"{method} {path}: {status} {content[:500]}")
        return status, content

    def json(self, method, path, body=None, expect=200, **more):
        return json.loads(self.call(method, path, body, expect=expect, **more)[1])

    def submit(self, **more):
        return self.json("POST", "/v1/jobs/submit", self.servers.job(**more), 201)["job_id"]

    def job(self, job):
        return self.json("GET", f"/v1/jobs/{job}")

    def wait(self, job, wanted=ENDED, seconds=60):
        deadline = time.monotonic() + seconds * SLOW
        while time.monotonic() < deadline:
            record = self.job(job)
            if record["status"] in wanted:
                return record
            if record["status"] in ENDED:
                break
            time.sleep(0.05)
        raise AssertionError(f"{job} is {record['status']} and not {wanted}: {record}\n"
                             + self.log_text(job))

    def log_text(self, job):
        text = ""
        for phase in ("clone", "check", "build", "prep", "inference"):
            status, content = self.call("GET", f"/v1/jobs/{job}/logs?phase={phase}")
            if status != 200:
                continue
            text += f"[{phase}]\n"
            for entry in json.loads(content)["entries"]:
                text += entry.get("text", entry.get("base64"))
                text += "\n" if entry["stream"] == "notice" else ""
        return text

    def output(self, job, path):
        return self.call("GET", f"/v1/jobs/{job}/outputs/{path}", expect=200)[1]


class Jobs(case.Case):
    """One service for all: jobs do not touch one another."""

    @classmethod
    def setUpClass(cls):
        folder = cls.enterClassContext(tempfile.TemporaryDirectory(prefix="jobs-test-"))
        cls.runner = cls.enterClassContext(Runner(folder))

    def fails(self, job, code, *parts, state="failed"):
        record = self.runner.wait(job, (state,))
        self.assertEqual(record["error_code"], code, record["error_message"])
        for part in parts:
            self.assertIn(part, record["error_message"])
        return record

    def test_the_example_runs_from_its_repository_to_a_verified_receipt(self):
        runner = self.runner
        commit = runner.servers.repository.commit(job_servers.files_of(EXAMPLE))
        data = (airlock.ROOT / "examples/data/gpu_jobs_2023.csv").read_bytes()
        files = runner.folder / "files"
        (files / "jobs.csv").write_bytes(data)
        job = runner.submit(input_data_s3_path=f"file://{files}/jobs.csv",
                            output_data_s3_path=f"file://{files}/results/",
                            challenge="c-123")
        record = runner.wait(job, ("completed",))
        self.assertEqual(record["repo_commit"], commit)
        self.assertEqual(record["progress_percentage"], 100)
        result = json.loads(runner.output(job, "result.json"))
        self.assertEqual(result["jobs"], 6983)
        self.assertGreater(result["kwh"], 1000)
        self.assertEqual(json.loads((files / "results/result.json").read_text()), result)
        # What was allowed and what was not, with the bytes.
        egress = {(entry["host"], entry["port"]): entry for entry in record["egress"]
                  if entry["phase"] == "prep"}
        allowed = egress["models.airlock.test", runner.servers.model.port]
        refused = egress["elsewhere.airlock.test", runner.servers.other.port]
        self.assertTrue(allowed["allowed"])
        self.assertGreater(allowed["bytes_in"], 0)
        self.assertFalse(refused["allowed"])
        self.assertEqual(runner.servers.other.hits, [])
        self.assertTrue(record["seal"]["sealed"])
        phases = {phase["name"]: phase for phase in record["phases"]}
        self.assertEqual(phases["prep"]["result"]["isolation"]["network"], "gateway")
        self.assertEqual(phases["inference"]["result"]["isolation"]["network"], "none")
        # Digests are those of the files.
        outputs = {output["path"]: output for output in record["outputs"]}
        self.assertEqual(outputs["result.json"]["sha256"],
                         hashlib.sha256(runner.output(job, "result.json")).hexdigest())
        self.assertEqual(record["inputs"][0]["sha256"], hashlib.sha256(data).hexdigest())
        self.check_receipt(job)

    def check_receipt(self, job):
        receipt = self.folder / "receipt.json"
        receipt.write_bytes(self.runner.call("GET", f"/v1/jobs/{job}/receipt", expect=200)[1])
        key = self.folder / "key.pem"
        key.write_bytes(self.runner.call("GET", "/v1/receipts/key", expect=200)[1])
        done = self.airlock("verify", receipt, "--key", key, "--challenge", "c-123")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        receipt.write_text(receipt.read_text().replace('"payload":"', '"payload":"A', 1))
        self.assertNotEqual(self.airlock("verify", receipt, "--key", key).returncode, 0)

    def test_states_are_seen_in_their_order(self):
        self.runner.commit()
        before = self.runner.json("GET", "/v1/status")
        job = self.runner.submit()
        self.runner.wait(job, ("completed",))
        after = self.runner.json("GET", "/v1/status")
        self.assertEqual(after["total_completed"], before["total_completed"] + 1)
        events = self.runner.json("GET", "/v1/jobs")["jobs"]
        self.assertEqual(events[0]["job_id"], job)

    def test_what_prep_leaves_is_there_in_inference_and_its_processes_are_not(self):
        self.runner.commit(inference_py="""
import os, pathlib, subprocess, sys
if "prep" in sys.argv:
    pathlib.Path("/workspace/left").write_text("by prep")
    pathlib.Path("/output/early").write_text("by prep, too")
    subprocess.Popen(["sleep", "1000"], start_new_session=True)
    sys.exit(0)
assert pathlib.Path("/workspace/left").read_text() == "by prep"
names = [open(f"/proc/{n}/comm").read().strip() for n in os.listdir("/proc") if n.isdigit()]
assert "sleep" not in names, names
assert "HTTP_PROXY" not in os.environ and "http_proxy" not in os.environ
print(os.environ["PHASE"], os.environ["JOB_ID"], os.environ["CUDA_VISIBLE_DEVICES"] == "")
""")
        job = self.runner.submit()
        record = self.runner.wait(job, ("completed",))
        self.assertIn(f"inference {job} True", self.runner.log_text(job))
        self.assertEqual([output["path"] for output in record["outputs"]], ["early"])

    def test_after_the_seal_nothing_leads_out_and_what_was_open_is_dead(self):
        """The control is in the same program: in prep the same connection is made."""
        self.runner.commit(inference_py="""
import os, pathlib, socket, sys, time
def tables():
    lines = []
    for name in ("tcp", "tcp6", "udp", "udp6", "raw", "packet", "unix"):
        try: lines += [name + line for line in open(f"/proc/net/{name}").read().splitlines()[1:]]
        except OSError: pass
    return lines
if sys.argv[2] == "prep":
    gateway = socket.create_connection(("127.0.0.1", 3128), 5)
    host = os.environ["MODEL_URL"].split("/")[2]
    gateway.sendall(f"GET http://{host}/slow HTTP/1.1\\r\\nHost: {host}\\r\\n\\r\\n".encode())
    time.sleep(0.5)
    assert tables()
    if os.fork() == 0:
        os.setsid()
        time.sleep(1000)
    os._exit(0)
for address in (("127.0.0.1", 3128), ("93.184.216.34", 443), ("10.0.0.1", 80)):
    try:
        socket.create_connection(address, 2)
        sys.exit(f"reached {address}")
    except OSError as error:
        print(address, error)
try:
    socket.getaddrinfo("models.airlock.test", 80)
    sys.exit("a name was resolved")
except OSError:
    pass
assert tables() == [], tables()
assert len([n for n in os.listdir("/proc") if n.isdigit()]) <= 2, os.listdir("/proc")
""")
        self.runner.servers.model.hold.clear()
        try:
            job = self.runner.submit()
            record = self.runner.wait(job, ("completed",))
        finally:
            self.runner.servers.model.hold.set()
        self.assertTrue(record["seal"]["sealed"])
        self.assertEqual(record["seal"]["connections_closed"], 1)
        self.assertEqual(record["seal"]["processes_killed"], 1)
        self.assertIsNotNone(record["seal"]["sealed_at"])

    def test_input_is_not_there_in_prep(self):
        (self.runner.folder / "files" / "one").write_text("secret")
        self.runner.commit(inference_py="""
import os, sys
there = os.listdir("/input")
print(sys.argv[2], there)
sys.exit(there != ([] if sys.argv[2] == "prep" else ["input_data"]))
""")
        job = self.runner.submit(input_data_s3_path=f"file://{self.runner.folder}/files/one")
        self.runner.wait(job, ("completed",))

    def test_a_phase_that_fails_says_so(self):
        self.runner.commit(inference_py="import sys\nif 'prep' in sys.argv:\n"
                                        "    print('no model', file=sys.stderr)\n    sys.exit(3)\n")
        self.fails(self.runner.submit(), "prep_failed", "Prep phase failed", "exit code 3",
                   "no model")
        self.runner.commit(inference_py="import sys\nif 'inference' in sys.argv: sys.exit(4)\n")
        self.fails(self.runner.submit(), "inference_failed", "Inference phase failed",
                   "exit code 4")

    def test_a_log_that_is_followed_again_goes_on_behind_its_last_entry(self):
        self.runner.commit(inference_py="import sys, time\nfor i in range(3):\n"
                                        "    print(sys.argv[2], i, flush=True)\n"
                                        "    time.sleep(0.1)\n")
        job = self.runner.submit()
        self.runner.wait(job, ("completed",))
        follow = f"/v1/jobs/{job}/logs?follow=1"
        events = self.runner.call("GET", follow, expect=200)[1].decode().split("\n\n")
        entries = [event for event in events if "event: log\n" in event]
        texts = [json.loads(event.partition("data: ")[2])["text"] for event in entries]
        self.assertIn("inference 2\n", "".join(texts))
        for i, event in enumerate(entries):
            at = re.match(r"id: ([a-z]+:[0-9]+)\n", event)[1]
            rest = self.runner.call("GET", follow, headers={"Last-Event-ID": at}, expect=200)[1]
            self.assertEqual(rest.decode().split("\n\n"), events[i + 1:])
        for lie in ("prep", "prep:", "prep:-1", "../x:0", ":0", "prep:99999999999999999999"):
            again = self.runner.call("GET", follow, headers={"Last-Event-ID": lie}, expect=200)[1]
            self.assertEqual(again.decode().split("\n\n"), events, lie)

    def test_the_verbs_take_a_job_from_its_submission_to_its_outputs(self):
        self.runner.commit(inference_py="import pathlib, sys\nprint(sys.argv[2])\n"
                                        "pathlib.Path('/output/result').write_text('42')\n")
        (self.folder / "job.yaml").write_text(
            f"repo: {self.runner.servers.url}\nmemory: 512m\ndisk: 64m\ncpu_cores: 1\n")
        env = {**os.environ, "AIRLOCK_SERVER": self.runner.service.url}

        def ask(*words, code=0):
            done = self.airlock(*words, env=env)
            self.assertEqual(done.returncode, code, done.stdout + done.stderr)
            return done.stdout.decode(), done.stderr.decode()
        out, err = ask("submit", "job.yaml", "--challenge", "c-1", "--follow")
        self.assertTrue(out.endswith("prep\ninference\n"), out)
        job = re.search(r"(job_[0-9a-f]+) submitted", err)[1]
        self.assertIn(f"{job} completed after", err)
        self.assertIn(job, ask("jobs", "--status", "completed")[0])
        self.assertIn("sha256 73475cb40a568e8d", ask("status", job)[0])
        self.assertIn("operational", ask("status")[0])
        self.assertEqual(ask("logs", job)[0], out)
        self.assertEqual(ask("logs", "-f", job)[0], out)
        ask("outputs", job, "-o", "out", "--receipt", "receipt.json")
        self.assertEqual((self.folder / "out/result").read_text(), "42")
        ask("verify", "receipt.json", "--challenge", "c-1", "--outputs", "out")
        ask("cancel", job, code=1)

    def test_a_timeout_is_a_timeout_and_keeps_its_log(self):
        self.runner.commit(inference_py="import time\nprint('begun', flush=True)\ntime.sleep(99)\n")
        job = self.runner.submit(prep_timeout_seconds=1)
        self.fails(job, "prep_timeout", "Job execution timeout", state="timeout")
        self.assertIn("begun", self.runner.log_text(job))

    def test_cancel_kills_what_runs(self):
        self.runner.commit(inference_py="import time\nprint('begun', flush=True)\ntime.sleep(99)\n")
        job = self.runner.submit()
        self.runner.wait(job, ("prep",))
        while "begun" not in self.runner.log_text(job):
            time.sleep(0.05)
        answer = self.runner.json("DELETE", f"/v1/jobs/{job}")
        self.assertEqual(answer, {"job_id": job, "status": "cancelled"})
        started = time.monotonic()
        record = self.runner.wait(job, ("cancelled",))
        self.assertLess(time.monotonic() - started, 15 * SLOW)
        self.assertIsNotNone(record["completed_at"])

    def test_repositories_that_are_not_there_or_not_allowed(self):
        runner = self.runner
        for url, part in (("https://example.org/a/b", "Repository must be from"),
                          ("https://evil/github.com", "Repository must be from"),
                          ("--upload-pack=/bin/sh", ""), ("https://a:b@127.0.0.1/x", "")):
            answer = runner.json("POST", "/v1/jobs/submit", runner.servers.job(repo_url=url), 422)
            self.assertIn(part, json.dumps(answer["detail"]))
        runner.commit()
        self.fails(runner.submit(repo_branch="nowhere"), "clone_failed", "Git clone failed")
        missing = runner.servers.url.replace("job.git", "missing.git")
        self.fails(runner.submit(repo_url=missing), "clone_failed", "Git clone failed")
        self.fails(runner.submit(repo_commit="0" * 40), "clone_failed", "Git")

    def test_a_commit_and_a_branch_can_be_asked_for(self):
        first = self.runner.commit(inference_py="print('first')\n")
        self.runner.commit(inference_py="print('second')\n")
        job = self.runner.submit(repo_commit=first)
        record = self.runner.wait(job, ("completed",))
        self.assertEqual(record["repo_commit"], first)
        self.assertIn("first", self.runner.log_text(job))

    def test_repositories_that_do_not_hold_what_they_must(self):
        self.runner.servers.repository.commit({"README.md": "x"})
        self.fails(self.runner.submit(), "validation_failed", "Validation failed", "inference.py")
        self.runner.commit(inference_py="def broken(:\n")
        self.fails(self.runner.submit(), "validation_failed", "Validation failed")

    def test_another_contract_by_airlock_yaml(self):
        self.runner.servers.repository.commit({
            "airlock.yaml": "build: [\"g++ -O1 -o /build/solve solve.cc\"]\n"
                            "prep: \"true\"\ninference: [/build/solve]\n",
            "solve.cc": "#include <fstream>\n"
                        "int main() { std::ofstream(\"/output/answer\") << 42; }\n"})
        job = self.runner.submit()
        self.runner.wait(job, ("completed",), 90)
        self.assertEqual(self.runner.output(job, "answer"), b"42")
        again = self.runner.wait(self.runner.submit(), ("completed",))
        self.assertTrue(again["build_cached"], again)

    def test_a_language_that_the_host_lacks_is_refused_before_anything_is_built(self):
        self.runner.commit(airlock_yaml="inference: cobc\nlanguage: pyton\n")
        record = self.fails(self.runner.submit(), "validation_failed",
                            "Validation failed: airlock.yaml:2:11: ", "pyton", "python")
        self.assertNotIn("build", [phase["name"] for phase in record["phases"]])

    def test_a_repository_may_want_less_of_a_core_than_it_was_given(self):
        self.runner.commit(
            airlock_yaml="inference: [python3, inference.py]\nlimits: {cpus: 0.25}\n",
            inference_py="import time\nend = time.monotonic() + 2\n"
                         "while time.monotonic() < end: pass\n"
                         "open('/output/spent', 'w').write(str(time.process_time()))\n")
        job = self.runner.submit()
        self.runner.wait(job, ("completed",))
        self.assertLess(float(self.runner.output(job, "spent")), 1)  # a half of what it could be

    def test_outputs_are_regular_files_only(self):
        self.runner.commit(inference_py="""
import os, pathlib
pathlib.Path("/output/sub").mkdir(exist_ok=True)
pathlib.Path("/output/sub/ok").write_text("x")
if not os.path.islink("/output/link"): os.symlink("/etc/passwd", "/output/link")
""")
        job = self.runner.submit()
        record = self.runner.wait(job, ("completed",))
        self.assertEqual([output["path"] for output in record["outputs"]], ["sub/ok"])
        self.assertIn("not an output: link", self.runner.log_text(job))
        self.assertEqual(self.runner.call("GET", f"/v1/jobs/{job}/outputs/link")[0], 404)
        self.assertEqual(
            self.runner.call("GET", f"/v1/jobs/{job}/outputs/..%2f..%2fjobs.db")[0], 404)

    def test_events_are_those_that_come_unless_one_says_since_when(self):
        self.runner.commit()
        before = self.runner.submit()
        self.runner.wait(before, ("completed",))
        request = urllib.request.Request(self.runner.service.url + "/v1/events")
        with urllib.request.urlopen(request, timeout=30 * SLOW) as stream:
            time.sleep(1)  # it has looked where the newest is; what is older is not told
            job = self.runner.submit()
            told = []
            for line in stream:
                if line.startswith(b"data: "):
                    told.append(json.loads(line[6:]))
                    if told[-1].get("status") in ENDED:
                        break
        self.assertEqual({event["job_id"] for event in told}, {job})
        self.assertEqual(told[-1]["status"], "completed")

    def test_the_same_key_is_the_same_job(self):
        self.runner.commit()
        body, key = self.runner.servers.job(), {"Idempotency-Key": "k-1"}
        first = self.runner.json("POST", "/v1/jobs/submit", body, 201, headers=key)
        again = self.runner.json("POST", "/v1/jobs/submit", body, 201, headers=key)
        self.assertEqual(first["job_id"], again["job_id"])
        other = self.runner.servers.job(priority=3)
        self.runner.json("POST", "/v1/jobs/submit", other, 422, headers=key)
        self.runner.wait(first["job_id"])

    def test_logs_are_followed_to_the_end(self):
        self.runner.commit(inference_py="""
import sys, time
for i in range(3):
    print(sys.argv[2], i, flush=True); time.sleep(0.2)
""")
        job = self.runner.submit()
        _, content = self.runner.call("GET", f"/v1/jobs/{job}/logs?follow=1", expect=200)
        self.assertIn(b"event: end", content)
        text = "".join(json.loads(line[6:]).get("text", "")
                       for line in content.decode().splitlines() if line.startswith("data: "))
        for phase in ("prep", "inference"):
            for i in range(3):
                self.assertIn(f"{phase} {i}\n", text)
        tail = self.runner.json("GET", f"/v1/logs/{job}/tail?lines=2&phase=inference")
        self.assertEqual([entry["message"] for entry in tail["entries"]],
                         ["inference 1", "inference 2"])
        self.assertTrue(tail["has_more"])
        between = f"/v1/jobs/{job}/logs?phase=inference&offset=7"
        refused = self.runner.json("GET", between, expect=400)
        self.assertIn("no entry of this log begins at byte 7", json.dumps(refused))

    def test_errors_have_the_words_of_the_contract(self):
        status, content = self.runner.call("GET", "/v1/jobs/job_000000000000")
        self.assertEqual((status, json.loads(content)),
                         (404, {"detail": "Job not found: job_000000000000"}))
        self.assertEqual(self.runner.call("DELETE", "/v1/jobs/nothing")[0], 404)
        refused = self.runner.json("POST", "/v1/jobs/submit",
                                   self.runner.servers.job(weight_class="1xH200"), 422)
        self.assertIn("no GPUs", json.dumps(refused))
        refused = self.runner.json("POST", "/v1/jobs/submit",
                                   self.runner.servers.job(cpu_cores=4000), 422)
        self.assertIn("CPU cores", json.dumps(refused))
        self.assertEqual(self.runner.json("GET", "/v1/health")["status"], "healthy")

    def test_file_artifacts_stay_below_their_roots(self):
        before = self.runner.json("GET", "/v1/jobs?limit=1")["jobs"]
        for member in ("input_data_s3_path", "output_data_s3_path"):
            refused = self.runner.json("POST", "/v1/jobs/submit",
                                       self.runner.servers.job(**{member: "file:///etc/passwd"}),
                                       422)
            for text in ("/etc/passwd", "storage.file_roots names", "AIRLOCK_STORAGE_FILE_ROOTS"):
                self.assertIn(text, json.dumps(refused))
        self.assertEqual(self.runner.json("GET", "/v1/jobs?limit=1")["jobs"], before)
        self.runner.commit()
        files = self.runner.folder / "files"
        self.fails(self.runner.submit(input_data_s3_path=f"file://{files}/none"), "input_failed",
                   "S3 download failed: ", "none")
        (files / "file").write_text("")
        self.fails(self.runner.submit(output_data_s3_path=f"file://{files}/file/x/"),
                   "upload_failed")

    def test_a_job_without_an_end_in_sight_waits_its_turn(self):
        """What the host lacks is not promised twice."""
        self.runner.commit(inference_py="import time\ntime.sleep(1)\n")
        cores = self.runner.json("GET", "/v1/status")["cpu_cores_total"]
        jobs = [self.runner.submit(cpu_cores=cores) for _ in range(2)]
        deadline = time.monotonic() + 60 * SLOW
        while time.monotonic() < deadline:
            states = [self.runner.job(job)["status"] for job in jobs]
            running = [state for state in states if state not in (*ENDED, "pending")]
            self.assertLessEqual(len(running), 1, states)
            if all(state in ENDED for state in states):
                break
        self.assertEqual(states, ["completed", "completed"])


if __name__ == "__main__":
    sys.exit(case.run_tests(__name__))
