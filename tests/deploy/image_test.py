#!/usr/bin/env python3
"""The image of deploy/docker/Dockerfile, built and run as compose and a pod say.

    tests/deploy/image_test.py

The stages `build` and `dev` are not built, which would be a whole build more; `prebuilt` stands in
with the programs under test. There is no registry, so the Debian below is made here.
"""

import contextlib
import json
import os
import pathlib
import sys
import tempfile
import unittest

import yaml
from deploy_case import COMPOSE, DEPLOY, run, run_tests
from images import (BASE, OPEN, PROGRAMS, SERVICE_PACKAGES, Daemon, build_context,
                    root_archive, wait_until)
from support import containers

KEY = "0123456789abcdef0123456789abcdef"
ASK = """
import json, sys, urllib.request
request = urllib.request.Request(sys.argv[1], sys.argv[3].encode() if len(sys.argv) > 3 else None,
                                 {"Content-Type": "application/json", "X-API-Key": sys.argv[2]})
try:
    answer = urllib.request.urlopen(request, timeout=30)
except urllib.error.HTTPError as error:
    answer = error
print(json.dumps([answer.status, answer.read().decode()]))
"""
RUN = json.dumps({"language": "python", "code": "print(6 * 7)"})
stack = contextlib.ExitStack()
daemon = None


def setUpModule():
    global daemon
    archive = root_archive()
    top = stack.enter_context(containers.work_folder())
    daemon = stack.enter_context(contextlib.closing(Daemon(top)))
    daemon.load(archive, BASE)
    daemon.build(build_context(top), "--tag", "airlock:test", "--build-arg", "PROGRAMS=prebuilt",
                 "--build-arg", "VERSION=v1.2.3", "--build-arg", "VCS_REF=abc1234",
                 "--build-arg", "BUILD_DATE=2026-01-02T03:04:05Z")


def tearDownModule():
    stack.close()


class Started(unittest.TestCase):
    def start(self, options, *words, image="airlock:test"):
        name = self.id().rsplit(".", maxsplit=1)[-1][:60]
        daemon.docker("run", "--detach", "--name", name, "--network", "none", *options, image,
                      *words)
        self.addCleanup(daemon.docker, "rm", "--force", "--volumes", name)
        return name

    def execute(self, name, *words):
        return daemon.docker("exec", name, *words, check=False)

    def ask(self, name, url, *body, key=KEY):
        status, text = json.loads(self.execute(name, "python3", "-c", ASK, url, key, *body).stdout)
        return status, text

    def wait_ready(self, name, url):
        wait_until(lambda: self.execute(name, "airlock", "health", "--ready", url).returncode == 0,
                   daemon.docker("logs", name, check=False).stderr or "the service is ready")


class Image(Started):
    def test_what_it_says_of_itself(self):
        config = daemon.inspect("airlock:test")["Config"]
        self.assertEqual(config["User"], "1000:1000")
        labels = {name.removeprefix("org.opencontainers.image."): value
                  for name, value in config["Labels"].items()}
        self.assertEqual((labels["version"], labels["revision"], labels["created"]),
                         ("v1.2.3", "abc1234", "2026-01-02T03:04:05Z"))
        self.assertEqual(labels["licenses"], "Apache-2.0")
        check = config["Healthcheck"]
        self.assertEqual(check["Test"][:3], ["CMD", "/usr/local/lib/airlock/airlock", "health"])
        self.assertEqual((check["Interval"], check["Timeout"], check["Retries"]),
                         (30 * 10**9, 3 * 10**9, 3))

    def test_nothing_in_it_is_for_tests_or_raises_privilege(self):
        text = daemon.docker("run", "--rm", "--network", "none", "--entrypoint", "sh",
                             "airlock:test", "-c", "id -u; ls /usr/local/lib/airlock; "
                             "find /usr/local /workspace /var/lib/airlock -perm /6000; "
                             "stat -c %U /var/lib/airlock").stdout.split()
        self.assertEqual((text[0], text[-1]), ("1000", "sandbox"))
        self.assertEqual(set(text[1:-1]), set(PROGRAMS))

    def test_its_health_check_sees_the_service_and_misses_it(self):
        open_to_it = ("--read-only", "--tmpfs", "/tmp:exec", "--health-interval", "1s")
        name = self.start([*open_to_it, "--env", "AIRLOCK_ALLOW_TIER=process",
                           "--env", f"AIRLOCK_API_KEY={KEY}"])

        def state():
            return daemon.inspect(name)["State"]["Health"]["Status"]
        wait_until(lambda: state() == "healthy", "the container is healthy")
        broken = self.start_without_service(open_to_it)
        wait_until(lambda: daemon.inspect(broken)["State"]["Health"]["Status"] == "unhealthy",
                   "the container without a service is unhealthy")

    def start_without_service(self, options):
        daemon.docker("run", "--detach", "--name", "broken", "--network", "none", *options,
                      "--health-start-period", "1s", "--health-retries", "1",
                      "--entrypoint", "sleep", "airlock:test", "1000")
        self.addCleanup(daemon.docker, "rm", "--force", "broken")
        return "broken"


class WithoutRegistry(Started):
    """What `./dev docker-build` makes of a root and the programs: its Dockerfile names no image."""

    def test_it_serves(self):
        with tempfile.TemporaryDirectory() as folder:
            context = pathlib.Path(folder)
            (build_context(context) / "build/release/bin").rename(context / "programs")
            os.link(root_archive(SERVICE_PACKAGES), context / "root.tar")
            daemon.docker("build", "--tag", "airlock:scratch", "--file",
                          DEPLOY / "docker" / "scratch.Dockerfile", context)
        name = self.start(["--read-only", "--tmpfs", "/tmp:exec", "--tmpfs", "/workspace:exec",
                           *OPEN, "--env", f"AIRLOCK_API_KEY={KEY}"], image="airlock:scratch")
        self.wait_ready(name, "http://127.0.0.1:8000")
        status, text = self.ask(name, "http://127.0.0.1:8000/v1/run", RUN)
        self.assertEqual((status, json.loads(text)["isolation"]["tier"]), (200, "full"))


class Compose(Started):
    """The services of the compose files, as options of docker run: Debian has no compose 2."""

    # What changes nothing of what is looked at here, what is the host's to give, and what
    # `docker run` has no word for.
    LEFT_OUT = {"image", "build", "restart", "ports", "stop_grace_period", "mem_limit", "cpus",
                "pids_limit"}
    WORDS = {"cap_drop": "--cap-drop", "security_opt": "--security-opt", "tmpfs": "--tmpfs",
             "volumes": "--volume", "group_add": "--group-add"}

    def options(self, name="docker-compose.yml", **variables):
        done = run("docker-compose", "-f", COMPOSE / name, "config",
                   env={"PATH": os.environ["PATH"], **variables})
        options = ["--env", f"AIRLOCK_API_KEY={KEY}"]
        for key, value in yaml.safe_load(done.stdout)["services"]["airlock"].items():
            if key in ("init", "read_only"):
                self.assertIs(value, True)
                options.append(f"--{key.replace('_', '-')}")
            elif key == "user":
                options += ["--user", value]
            elif key == "environment":
                options += [word for name, text in value.items() if text is not None
                            for word in ("--env", f"{name}={text}")]
            elif key not in self.LEFT_OUT:
                options += [part for entry in value for part in (self.WORDS[key], entry)]
        return options

    def test_it_runs_programs_in_sandboxes_of_the_full_tier(self):
        name = self.start(self.options())
        self.wait_ready(name, "http://127.0.0.1:8000")
        status, text = self.ask(name, "http://127.0.0.1:8000/v1/run", RUN)
        result = json.loads(text)
        self.assertEqual((status, result["stdout"]), (200, "42\n"))
        self.assertEqual(result["isolation"]["tier"], "full")
        status, _ = self.ask(name, "http://127.0.0.1:8000/v1/run", RUN, key="wrong")
        self.assertEqual(status, 401)
        process = daemon.inspect(name)["HostConfig"]
        self.assertFalse(process["Privileged"])
        self.assertTrue(process["ReadonlyRootfs"])
        self.assertEqual(self.execute(name, "ls", "/var/run/docker.sock").returncode, 2)

    def test_a_key_that_was_made_is_shown_once_and_kept(self):
        options = self.options()
        options[1] = "AIRLOCK_API_KEY="
        name = self.start(options)
        self.wait_ready(name, "http://127.0.0.1:8000")
        log = daemon.docker("logs", name)
        made, = [json.loads(line) for line in (log.stdout + log.stderr).splitlines()
                 if "key_made" in line]
        daemon.docker("restart", name)
        self.wait_ready(name, "http://127.0.0.1:8000")
        status, _ = self.ask(name, "http://127.0.0.1:8000/v1/run", RUN, key=made["shown_once"])
        self.assertEqual(status, 200)
        log = daemon.docker("logs", name)
        self.assertEqual((log.stdout + log.stderr).count("key_made"), 1)


    def test_with_the_socket_programs_run_in_containers_of_dockers(self):
        socket = pathlib.Path(daemon.socket.removeprefix("unix://"))
        name = self.start(self.options(
            "docker-compose.with-docker-sock.yml", DOCKER_SOCKET=str(socket),
            DOCKER_GID=str(socket.stat().st_gid), AIRLOCK_EXECUTION_DOCKER_IMAGE="airlock:test"))
        self.wait_ready(name, "http://127.0.0.1:8000")
        status, text = self.ask(name, "http://127.0.0.1:8000/v1/run", RUN)
        result = json.loads(text)
        self.assertEqual((status, result["stdout"]), (200, "42\n"))
        self.assertEqual(result["isolation"]["backend"], "docker")
        daemon.docker("stop", name)
        left = daemon.docker("ps", "--all", "--quiet", "--filter", "name=airlock-").stdout
        self.assertEqual(left, "")


class Pod(Started):
    """Variables and arguments of the manifests, in a container with a pod's rights."""

    def test_the_executors_pod_serves_and_is_measured(self):
        text = (DEPLOY / "kubernetes" / "swissbrain.yaml").read_text(encoding="utf8")
        pod = next(manifest for manifest in yaml.safe_load_all(text)
                   if manifest["kind"] == "Deployment")["spec"]["template"]["spec"]
        container = pod["containers"][0]
        # gVisor would give namespaces; tests/security/tiers.py tries that.
        options = ["--cap-drop", "ALL", "--read-only", "--security-opt", "no-new-privileges",
                   "--env", "AIRLOCK_ALLOW_TIER=process"]
        for mount in container["volumeMounts"]:
            options += ["--tmpfs", f"{mount['mountPath']}:exec,uid=1000"]
        for entry in container["env"]:
            options += ["--env", f"{entry['name']}={entry.get('value', KEY)}"]
        name = self.start(options, *container["args"])
        self.wait_ready(name, "http://127.0.0.1:8000")
        status, text = self.ask(name, "http://127.0.0.1:8000/execute", json.dumps(
            {"code": "print(6 * 7)", "language": "python", "timeout_seconds": 5}))
        self.assertEqual((status, json.loads(text)["stdout"]), (200, "42\n"))
        status, text = self.ask(name, "http://127.0.0.1:9090/metrics")
        self.assertEqual(status, 200)
        self.assertIn("airlock_runs_total", text)
        log = daemon.docker("logs", name)
        # Every variable of the manifest is obeyed: none is named as one that changes nothing.
        self.assertNotIn("serve.no_effect", log.stdout + log.stderr)


if __name__ == "__main__":
    sys.exit(run_tests("__main__"))
