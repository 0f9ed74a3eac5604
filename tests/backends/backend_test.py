"""One backend behind the service: every outcome and limit, streams, files, and what stands in.

$AIRLOCK_EXECUTION_MODE and its like name it (run.py sets them). Containers are looked at and
removed behind the service's back.
"""

import base64
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent / "blackbox")]

import case  # noqa: E402
from backend import HAS_DOCKER, LEVEL, MODE, comes_true, containers, docker, groups  # noqa: E402
from service import Service  # noqa: E402


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


if __name__ == "__main__":
    sys.exit(case.run_tests(__name__))
