"""One backend behind the service: every outcome and limit, streams, files, and what stands in.

$AIRLOCK_EXECUTION_MODE and its like name it (run.py sets them). Containers are looked at, removed
and starved of their dockerd behind the service's back.
"""

import base64
import contextlib
import importlib.util
import io
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent / "blackbox")]

import case  # noqa: E402
from service import Service  # noqa: E402

MODE = os.environ["AIRLOCK_EXECUTION_MODE"]
SOCKET = os.environ["AIRLOCK_EXECUTION_DOCKER_SOCKET"]
HAS_DOCKER = "docker" in MODE
LEVEL = "kernel" if "gvisor" in MODE else "container"
PARTS = ("workspace", "tmp", "output", "build")


def docker(*words):
    return subprocess.run(["docker", "-H", f"unix://{SOCKET}", *words], capture_output=True,
                          text=True, timeout=60, check=False).stdout.strip()


def containers():
    return docker("ps", "--all", "--quiet", "--filter", "label=airlock.owner").split()


def groups():
    found = pathlib.Path("/sys/fs/cgroup").glob(f"*/airlock-{MODE}/s*")
    return sorted(str(path) for path in found)


def running(words):
    return subprocess.run(["pgrep", "--full", f"^{words}$"], capture_output=True,
                          check=False).returncode == 0


def comes_true(condition, seconds=20):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if condition():
            return True
        time.sleep(0.1)
    return False


class Backend(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.service = Service("--jobs=false").__enter__()
        cls.addClassCleanup(cls.service.stop)

    def run_it(self, script=None, **request):
        if script is not None:
            request["argv"] = ["/bin/sh", "-c", script]
        status, result = self.service.ask_json("POST", "/v1/run", request)
        self.assertEqual(status, 200, result)
        return result

    def outcome(self, script, **limits):
        result = self.run_it(script, limits=limits)
        return result["outcome"], result

    def test_what_tells_of_the_end_is_not_the_guests_to_write(self):
        # gVisor opens /proc/1/fd/N for whoever owns what is behind it: not so the link's ends.
        result = self.run_it("for end in /proc/1/fd/*; do printf '%64s' x >$end; done "
                             "2>/dev/null; sleep 0.3; echo alive; exit 7")
        self.assertEqual((result["outcome"], result["exit_code"]), ("exited", 7), result)
        self.assertTrue(result["stdout"].endswith("alive\n"), result)

    def test_the_result_says_what_made_it(self):
        result = self.run_it("id -u; cat /proc/1/comm; grep -c . /proc/net/dev 2>/dev/null; exit 3")
        self.assertEqual((result["outcome"], result["exit_code"]), ("exited", 3), result)
        self.assertTrue(result["stdout"].startswith("65534\n"), result)
        isolation = result["isolation"]
        self.assertEqual((isolation["backend"], isolation["level"]), (MODE, LEVEL))
        self.assertNotIn("fallback", isolation)
        self.assertIn("uid_range", isolation["missing"])

    def test_every_outcome(self):
        cases = {
            "signalled": ("kill -SEGV $$", {}),
            "wall_timeout": ("sleep 20", {"wall_ms": 500}),
            "cpu_timeout": ("while :; do :; done", {"cpu_ms": 400}),
            "out_of_memory": ("tail /dev/zero", {"memory_bytes": 64 << 20}),
            "output_limit": ("yes", {"output_bytes": 100_000}),
            "disk_limit": ("head -c 40000000 /dev/zero > /workspace/x", {"disk_bytes": 8 << 20}),
        }
        for wanted, (script, limits) in cases.items():
            with self.subTest(wanted):
                found, result = self.outcome(script, **limits)
                self.assertEqual(found, wanted, result)

    def test_the_number_of_processes_is_limited(self):
        script = "for i in 1 2 3 4 5 6 7 8 9 10 11 12; do sleep 3 & done; wait; echo all"
        result = self.run_it(script, limits={"pids": 6, "wall_ms": 10_000})
        self.assertNotEqual((result["outcome"], result["stdout"]), ("exited", "all\n"), result)

    def test_a_program_may_have_less_than_a_core(self):
        # By the host's clock: a sentry counts time in which it was not let run.
        for cpus in (0.25, 1):
            result = self.run_it("while :; do :; done & while :; do :; done",
                                 limits={"cpus": cpus, "wall_ms": 2_000})
            self.assertEqual(result["outcome"], "wall_timeout", result)
            usage = result["usage"]
            self.assertLess(usage["user_ms"] + usage["system_ms"], 1.5 * cpus * 2_000, result)

    def test_streams_and_files(self):
        result = self.run_it(
            "cat; echo err >&2; cat in.bin > out; echo -n x > e",
            stdin="in\n", outputs=["out", "e"],
            files=[{"path": "in.bin", "encoding": "base64",
                    "content": base64.b64encode(bytes(range(256)) * 4_000).decode()}])
        self.assertEqual(result["stderr"].splitlines()[0], "err", result)
        self.assertTrue(result["stdout"].startswith("in\n"), result)
        files = {file["path"]: file for file in result["files"]}
        self.assertEqual(base64.b64decode(files["out"]["content"]), bytes(range(256)) * 4_000)
        self.assertEqual(files["e"]["content"], "x")

    def test_much_output_arrives_whole(self):
        result = self.run_it("seq 1 200000", limits={"output_bytes": 4 << 20})
        self.assertEqual(result["stdout"], "".join(f"{i}\n" for i in range(1, 200_001)))

    def test_a_guest_has_nothing_to_gain(self):
        script = """
            grep -E '^(Cap...|NoNewPrivs):' /proc/self/status
            for target in 1 $PPID -$PPID; do kill -9 $target 2>/dev/null; done
            kill -9 -1 2>/dev/null
            touch /usr/x /etc/x /input/x /x 2>/dev/null && echo written
            ls /.airlock > /dev/null 2>&1 || true
            echo alive
        """
        result = self.run_it(script)
        self.assertEqual(result["outcome"], "exited", result)
        self.assertIn("alive", result["stdout"])
        self.assertNotIn("written", result["stdout"])
        capabilities = re.findall(r"^Cap(...):\t0*(.*)$", result["stdout"], re.MULTILINE)
        self.assertLessEqual({"Prm", "Eff", "Bnd"}, {name for name, _ in capabilities}, result)
        self.assertEqual({bits for _, bits in capabilities}, {""}, result)

    def test_there_is_no_network(self):
        code = ("import socket\n"
                "for to in (('93.184.216.34', 80), ('169.254.169.254', 80), ('10.0.0.1', 53)):\n"
                "    try:\n"
                "        socket.create_connection(to, timeout=2)\n"
                "        print('reached', to)\n"
                "    except OSError as error:\n"
                "        print('no')\n")
        result = self.run_it(argv=["/usr/bin/python3", "-c", code])
        self.assertEqual(result["stdout"], "no\nno\nno\n", result)

    def test_two_runs_share_nothing(self):
        self.run_it("for at in /tmp /workspace /dev/shm; do echo secret > $at/left; done")
        result = self.run_it("cat /tmp/left /workspace/left /dev/shm/left; echo /proc/[0-9]*")
        self.assertNotIn("secret", result["stdout"])

    def test_a_minimum_is_kept(self):
        result = self.run_it("true", min_isolation=LEVEL)
        self.assertEqual(result["isolation"]["level"], LEVEL)
        if LEVEL == "container":
            status, answer = self.service.ask_json(
                "POST", "/v1/run", {"argv": ["/bin/true"], "min_isolation": "kernel"})
            self.assertEqual(status, 503, answer)
            self.assertIn("gvisor", answer["error"]["hint"])

    @unittest.skipUnless(HAS_DOCKER, "no dockerd in it")
    def test_every_container_is_of_the_template(self):
        self.run_it("true")
        self.assertTrue(comes_true(containers), "one is kept ready")
        found = json.loads(docker("inspect", containers()[0]))[0]
        config, host = found["Config"], found["HostConfig"]
        # Of airlock-link, which becomes nobody with them; a guest has none (the test above).
        self.assertEqual(config["User"], "0:0")
        self.assertEqual(sorted(name.removeprefix("CAP_") for name in host["CapAdd"]),
                         ["SETGID", "SETPCAP", "SETUID"])
        self.assertEqual(host["NetworkMode"], "none")
        self.assertEqual(host["CapDrop"], ["ALL"])
        self.assertFalse(host["Privileged"] or host["Binds"] or host["Devices"])
        self.assertTrue(host["ReadonlyRootfs"])
        options = dict(option.partition("=")[::2] for option in host["SecurityOpt"])
        self.assertIn("no-new-privileges", options)
        self.assertIn("NVIDIA_VISIBLE_DEVICES=void", config["Env"])
        wall = json.loads(options["seccomp"])
        self.assertEqual(wall["defaultAction"], "SCMP_ACT_ERRNO")
        allowed = {name for entry in wall["syscalls"] for name in entry["names"]
                   if entry["action"] == "SCMP_ACT_ALLOW"}
        self.assertIn("execve", allowed)
        self.assertFalse(allowed & {"mount", "bpf", "setns", "keyctl", "io_uring_setup"})
        self.assertEqual(host["LogConfig"]["Type"], "none")
        self.assertEqual(host["Memory"], host["MemorySwap"])
        self.assertEqual({mount["Type"] for mount in found["Mounts"]}, {"volume"})

    @unittest.skipUnless(HAS_DOCKER, "no dockerd in it")
    def test_containers_removed_behind_our_back(self):
        self.run_it("true")
        self.assertTrue(comes_true(containers))
        docker("rm", "--force", "--volumes", *containers())
        results = [self.run_it("echo hi") for _ in range(3)]
        self.assertEqual(results[-1]["stdout"], "hi\n", results)

    @unittest.skipUnless(HAS_DOCKER, "no dockerd in it")
    def test_an_image_of_ours_that_is_gone_is_made_again(self):
        docker("rm", "--force", "--volumes", *containers())
        images = docker("images", "--quiet", "--filter", "reference=airlock-run").split()
        self.assertTrue(images)
        docker("rmi", "--force", *images)
        results = [self.run_it("echo hi") for _ in range(3)]
        self.assertEqual(results[-1]["stdout"], "hi\n", results)


class Ends(unittest.TestCase):
    def test_nothing_is_left_at_the_end(self):
        with Service("--jobs=false") as service:
            status, result = service.ask_json("POST", "/v1/run", {"argv": ["/bin/true"]})
            self.assertEqual((status, result["outcome"]), (200, "exited"), result)
        self.assertTrue(comes_true(lambda: not groups()), groups())
        if HAS_DOCKER:
            self.assertTrue(comes_true(lambda: not containers()), containers())

    def test_what_was_killed_is_swept_by_the_next(self):
        service = Service("--jobs=false").__enter__()
        children = subprocess.run(["pgrep", "--pgroup", str(service.process.pid)],
                                  capture_output=True, text=True, check=False).stdout.split()
        brokers = subprocess.run(["pgrep", "-P", str(service.process.pid)], capture_output=True,
                                 text=True, check=False).stdout.split()
        for pid in {*children, *brokers, str(service.process.pid)}:
            try:
                os.kill(int(pid), signal.SIGKILL)
            except ProcessLookupError:
                pass
        service.process.wait()
        self.test_nothing_is_left_at_the_end()


class Fallback(unittest.TestCase):
    ENVIRONMENT = {"AIRLOCK_EXECUTION_FALLBACK_ON_ERROR": "true",
                   "AIRLOCK_EXECUTION_DOCKER_SOCKET": "/nowhere/docker.sock",
                   "AIRLOCK_SECURITY_GVISOR_PROGRAM": "/nowhere/runsc"}

    def test_what_cannot_be_had_is_replaced_and_said(self):
        with Service("--jobs=false", env=self.ENVIRONMENT) as service:
            status, result = service.ask_json("POST", "/v1/run", {"argv": ["/bin/echo", "hi"]})
            self.assertEqual((status, result["stdout"]), (200, "hi\n"), result)
            isolation = result["isolation"]
            self.assertEqual(isolation["backend"], "direct")
            self.assertEqual(isolation["fallback"]["from"], MODE)
            self.assertIn("nowhere", isolation["fallback"]["reason"])
            told = service.wait_for("serve.fallback")
            self.assertEqual((told["from"], told["to"]), (MODE, "direct"))
            if LEVEL == "kernel":
                status, answer = service.ask_json(
                    "POST", "/v1/run", {"argv": ["/bin/true"], "min_isolation": "kernel"})
                self.assertNotEqual(status, 200, answer)

    def test_a_program_that_fails_is_not_run_elsewhere(self):
        with Service("--jobs=false",
                     env={"AIRLOCK_EXECUTION_FALLBACK_ON_ERROR": "true"}) as service:
            status, result = service.ask_json("POST", "/v1/run", {"argv": ["/bin/false"]})
            self.assertEqual((status, result["exit_code"]), (200, 1), result)
            self.assertEqual(result["isolation"]["backend"], MODE)


def refused(service):
    """Why a sandbox could not be made."""
    status, result = service.ask_json("POST", "/v1/run", {"argv": ["/bin/true"]})
    return result["error"]["message"] if status != 200 else result.get("detail", "")


def reason_not_to_start(environment):
    """What a service says that can make no sandbox of the kind that it is to have."""
    service = Service("--jobs=false", env={"AIRLOCK_EXECUTION_FALLBACK_ON_ERROR": "false",
                                           **environment})
    with contextlib.suppress(AssertionError), service:
        return "it has started"
    return [entry for entry in service.log if entry["event"] == "serve.cannot_run"][-1]["reason"]


@unittest.skipUnless(MODE == "gvisor", "runsc without Docker")
class Runsc(unittest.TestCase):
    def program(self, text):
        folder = tempfile.mkdtemp(prefix="runsc-")
        self.addCleanup(shutil.rmtree, folder)
        path = pathlib.Path(folder, "runsc")
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)
        os.chmod(folder, 0o755)
        return str(path)

    def test_one_that_hangs_is_not_waited_for_without_end(self):
        begin = time.monotonic()
        reason = reason_not_to_start(
            {"AIRLOCK_SECURITY_GVISOR_PROGRAM": self.program("exec sleep 1000"),
             "AIRLOCK_EXECUTION_START_TIMEOUT": "2s"})
        self.assertIn("not ready within 2000 ms", reason)
        self.assertLess(time.monotonic() - begin, 60)
        self.assertTrue(comes_true(lambda: not groups()), groups())

    def test_one_that_hangs_is_replaced(self):
        environment = {"AIRLOCK_SECURITY_GVISOR_PROGRAM": self.program("exec sleep 1000"),
                       "AIRLOCK_EXECUTION_START_TIMEOUT": "2s",
                       "AIRLOCK_EXECUTION_DOCKER_SOCKET": "/nowhere/docker.sock",
                       "AIRLOCK_EXECUTION_FALLBACK_ON_ERROR": "true"}
        with Service("--jobs=false", env=environment) as service:
            status, result = service.ask_json("POST", "/v1/run", {"argv": ["/bin/echo", "hi"]})
            self.assertEqual((status, result["stdout"]), (200, "hi\n"), result)
            self.assertIn("not ready", result["isolation"]["fallback"]["reason"])

    def test_what_it_complains_of_is_told(self):
        program = self.program("echo no such platform >&2; exit 1")
        self.assertIn("no such platform",
                      reason_not_to_start({"AIRLOCK_SECURITY_GVISOR_PROGRAM": program}))

    def test_one_that_is_missing_is_said(self):
        self.assertIn("/nowhere/runsc: No such file",
                      reason_not_to_start({"AIRLOCK_SECURITY_GVISOR_PROGRAM": "/nowhere/runsc"}))


@unittest.skipUnless(HAS_DOCKER, "no dockerd in it")
class Image(unittest.TestCase):
    def test_one_that_is_missing_is_said_with_what_to_do(self):
        reason = reason_not_to_start({"AIRLOCK_EXECUTION_DOCKER_IMAGE": "no-such"})
        self.assertIn("Docker has no image no-such", reason)
        self.assertIn("execution.docker_image", reason)

    def test_one_of_a_single_program_serves(self):
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w") as tar:
            tar.add("/bin/busybox", arcname="busybox")
        subprocess.run(["docker", "-H", f"unix://{SOCKET}", "import", "-", "one-program"],
                       input=archive.getvalue(), capture_output=True, timeout=60, check=True)
        with Service("--jobs=false",
                     env={"AIRLOCK_EXECUTION_DOCKER_IMAGE": "one-program"}) as service:
            status, result = service.ask_json("POST", "/v1/run",
                                              {"argv": ["/busybox", "echo", "hi"]})
            self.assertEqual((status, result.get("stdout")), (200, "hi\n"), result)


class Swept(unittest.TestCase):
    """What owners that are gone left goes when a service starts, and nothing else does."""

    def setUp(self):
        folder = tempfile.mkdtemp(prefix="swept-")
        self.addCleanup(shutil.rmtree, folder, ignore_errors=True)
        os.chmod(folder, 0o755)
        self.state = f"{folder}/state"

    def serve(self):
        return Service("--jobs=false", "--state-dir", self.state)

    @unittest.skipUnless(HAS_DOCKER, "no dockerd in it")
    def test_of_dockerd(self):
        def left(owner, name):
            labels = ("--label", f"airlock.owner={owner}", "--label", "airlock.slot=900")
            docker("volume", "create", *labels, f"{name}-volume")
            return docker("create", *labels, "--network=none", "airlock-base", "/bin/true")

        with self.serve():
            self.assertTrue(comes_true(containers))
            owner = docker("inspect", "--format", '{{index .Config.Labels "airlock.owner"}}',
                           containers()[0])
            self.assertEqual(pathlib.Path(self.state, MODE, "owner").read_text(), owner)
        ours, another = left(owner, "ours"), left("0" * 16, "another")
        self.addCleanup(docker, "volume", "rm", "another-volume")
        self.addCleanup(docker, "rm", "--force", another)
        nameless = docker("commit", "--change", "LABEL airlock.image=1", another)
        with self.serve():
            def all_that_is():
                return [*docker("ps", "--all", "--quiet", "--no-trunc").split(),
                        *docker("volume", "ls", "--quiet").split(),
                        *docker("images", "--all", "--quiet", "--no-trunc").split()]
            gone = {ours, "ours-volume", nameless}
            self.assertTrue(comes_true(lambda: not gone & set(all_that_is())), all_that_is())
            self.assertLessEqual({another, "another-volume"}, set(all_that_is()))
            # What is kept ready bears the same owner, and its slot is held.
            self.assertTrue(comes_true(
                lambda: docker("ps", "--quiet", "--filter", f"label=airlock.owner={owner}")))

    @unittest.skipUnless(MODE == "gvisor", "runsc without Docker")
    def test_of_runsc(self):
        left = pathlib.Path("/run/airlock-gvisor/gvisor/s900/bundle")
        left.mkdir(parents=True)
        with self.serve():
            self.assertTrue(comes_true(lambda: not left.parent.exists()))


@unittest.skipUnless(MODE == "docker", "as slow as dockerd: once")
class Dockerd(unittest.TestCase):
    """A dockerd of its own, which dies, hangs, and runs out of disk under the service."""

    def setUp(self):
        spec = importlib.util.spec_from_file_location("backends", HERE / "run.py")
        backends = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(backends)
        self.top = tempfile.mkdtemp(prefix="dockerd-goes-")
        self.addCleanup(shutil.rmtree, self.top, ignore_errors=True)
        self.make = lambda: backends.Docker(self.top)

    def start(self):
        self.dockerd = self.make()
        self.addCleanup(lambda: self.dockerd.close())
        return {"AIRLOCK_SECURITY_GVISOR_ENABLED": "false",
                "AIRLOCK_EXECUTION_DOCKER_SOCKET": self.dockerd.socket.removeprefix("unix://")}

    def backend(self, service):
        status, result = service.ask_json("POST", "/v1/run", {"argv": ["/bin/echo", "hi"]})
        self.assertEqual(status, 200, result)
        if result["outcome"] != "exited":
            return result["detail"]
        self.assertEqual(result["stdout"], "hi\n")
        return result["isolation"]["backend"]

    def test_it_is_missed_while_it_is_away_and_no_longer(self):
        environment = {**self.start(), "AIRLOCK_EXECUTION_FALLBACK_ON_ERROR": "true"}
        with Service("--jobs=false", env=environment) as service:
            self.assertEqual(self.backend(service), MODE)
            self.dockerd.kill()
            # Those that were ready have died with it: told apart from a program that failed.
            self.assertTrue(comes_true(lambda: self.backend(service) == "direct"),
                            self.backend(service))
            self.dockerd.start()
            self.assertTrue(comes_true(lambda: self.backend(service) == MODE, seconds=60),
                            self.backend(service))

    def test_one_that_hangs_is_not_waited_for_without_end(self):
        environment = {**self.start(), "AIRLOCK_EXECUTION_START_TIMEOUT": "3s",
                       "AIRLOCK_EXECUTION_FALLBACK_ON_ERROR": "false"}
        with Service("--jobs=false", "--parked=0", env=environment) as service:
            self.assertEqual(self.backend(service), MODE)
            os.kill(self.dockerd.process.pid, signal.SIGSTOP)
            try:
                begin = time.monotonic()
                self.assertIn("no answer within", refused(service))
                self.assertLess(time.monotonic() - begin, 30)
            finally:
                os.kill(self.dockerd.process.pid, signal.SIGCONT)
            self.assertTrue(comes_true(lambda: self.backend(service) == MODE, seconds=60))

    def test_a_program_that_runs_while_it_hangs_ends_in_time(self):
        environment = {**self.start(), "AIRLOCK_EXECUTION_START_TIMEOUT": "3s",
                       "AIRLOCK_EXECUTION_FALLBACK_ON_ERROR": "false"}
        with Service("--jobs=false", "--parked=0", env=environment) as service:
            thread = threading.Timer(
                4, lambda: os.kill(self.dockerd.process.pid, signal.SIGSTOP))
            thread.start()
            try:
                begin = time.monotonic()
                status, result = service.ask_json(
                    "POST", "/v1/run",
                    {"argv": ["/bin/sleep", "4711"], "limits": {"wall_ms": 8_000}})
                self.assertEqual((status, result["outcome"]), (200, "wall_timeout"), result)
                self.assertEqual(result["isolation"]["backend"], MODE)
                self.assertLess(time.monotonic() - begin, 60)
                # The container with it, although nobody could ask dockerd for that.
                self.assertTrue(comes_true(lambda: not running("/bin/sleep 4711")))
            finally:
                thread.join()
                os.kill(self.dockerd.process.pid, signal.SIGCONT)
        self.assertTrue(comes_true(lambda: not groups()), groups())

    def test_a_full_disk_of_it_is_said_and_passes(self):
        data = pathlib.Path(self.top, "docker", "data")
        data.mkdir(parents=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=700m", "data", data], check=True)
        self.addCleanup(subprocess.run, ["umount", "--lazy", data], check=False,
                        capture_output=True)  # unless dockerd has done so
        environment = {**self.start(), "AIRLOCK_EXECUTION_FALLBACK_ON_ERROR": "false"}
        with Service("--jobs=false", "--parked=0", env=environment) as service:
            self.assertEqual(self.backend(service), MODE)
            filler = data / "filler"
            subprocess.run(["dd", "if=/dev/zero", f"of={filler}", "bs=1M"], check=False,
                           stderr=subprocess.DEVNULL)
            self.assertIn("no space left", refused(service))
            filler.unlink()
            self.assertEqual(self.backend(service), MODE)


if __name__ == "__main__":
    sys.exit(case.run_tests(__name__))
