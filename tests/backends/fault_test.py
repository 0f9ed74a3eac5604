"""What can go wrong with what a backend stands on, and what its owners leave when they are gone.

As backend_test.py. runsc and dockerd hang, complain, die, are missing or out of disk.
"""

import contextlib
import importlib.util
import io
import os
import pathlib
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
from backend import (HAS_DOCKER, MODE, SOCKET, comes_true, containers, docker,  # noqa: E402
                     groups, running)
from service import Service  # noqa: E402


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


# As where Airlock is in a container, with the socket of the host: the same path is another group.
ELSEWHERE = f"airlock-elsewhere-{os.getpid()}"
IN_OTHER_CGROUPS = """
for at in /sys/fs/cgroup/*/; do
  mkdir $at/%s && echo $$ >$at/%s/cgroup.procs
done
exec unshare --cgroup --mount --propagation private sh -c '
  for at in /sys/fs/cgroup/*/; do
    kind=cgroup what=$(basename $at)
    case $what in systemd) what=none,name=systemd ;; unified) kind=cgroup2 what=rw ;; esac
    umount $at && mount -t $kind -o $what none $at
  done
  exec "$@"' sh "$@"
""" % (ELSEWHERE, ELSEWHERE)


def remove_groups_called(name):
    for top in pathlib.Path("/sys/fs/cgroup").glob(f"*/{name}"):
        for folder, _, _ in os.walk(top, topdown=False):
            with contextlib.suppress(OSError):
                os.rmdir(folder)


@unittest.skipUnless(MODE == "docker", "as slow as dockerd: once")
class Dockerd(unittest.TestCase):
    """A dockerd of its own, which dies, hangs, and runs out of disk under the service."""

    def setUp(self):
        spec = importlib.util.spec_from_file_location("backends", HERE / "run.py")
        backends = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(backends)
        self.top = tempfile.mkdtemp(prefix="dockerd-goes-")
        self.addCleanup(shutil.rmtree, self.top, ignore_errors=True)
        self.backends = backends
        self.prefix = ()

    def start(self):
        self.dockerd = type("Own", (self.backends.Docker,), {"prefix": self.prefix})(self.top)
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

    def test_one_that_sees_other_cgroups_than_we_do_is_refused(self):
        self.addCleanup(remove_groups_called, ELSEWHERE)
        self.prefix = ["sh", "-c", IN_OTHER_CGROUPS, "sh"]
        environment = {**self.start(), "AIRLOCK_EXECUTION_FALLBACK_ON_ERROR": "false"}
        self.assertIn("has not put the container below", reason_not_to_start(environment))

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
