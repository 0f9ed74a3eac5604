#!/usr/bin/env python3
"""The compose files: by the Compose Specification's schema, and by a compose of Debian's.

    tests/deploy/compose_test.py

Debian has docker-compose 1.29, which resolves and checks; what the services are like when they run
is in image_test.py.
"""

import os
import re
import subprocess
import sys
import unittest

import yaml
from deploy_case import COMPOSE, ROOT, load_yaml, run, run_tests, schema, schema_errors
from support import airlock

PLAIN = COMPOSE / "docker-compose.yml"
SOCKET = COMPOSE / "docker-compose.with-docker-sock.yml"
ALIASES = (ROOT / "tools/sandbox/docker-compose.yml",
           ROOT / "tools/sandbox/docker-compose.with-docker-sock.yml")


def compose(path, *words, check=True, **environment):
    return run("docker-compose", "-f", path, *words, check=check, cwd="/",
               env={"PATH": os.environ["PATH"], **environment})


def config(path, *words, **environment):
    return yaml.safe_load(compose(path, *words, "config", **environment).stdout)


def mounts(service):
    return [volume.split(":")[0] for volume in service.get("volumes", [])]


class Files(unittest.TestCase):
    def test_they_are_of_the_specification(self):
        for path in (PLAIN, SOCKET):
            self.assertEqual(schema_errors(load_yaml(path), schema("compose")), [], path.name)

    def test_a_wrong_name_or_type_is_found(self):
        for change in ({"read_onli": True}, {"cap_drop": "ALL"}, {"user": 1000}):
            broken = load_yaml(PLAIN)
            broken["services"]["airlock"] |= change
            self.assertNotEqual(schema_errors(broken, schema("compose")), [], change)

    def test_they_are_found_where_amons_users_look(self):
        for path in ALIASES:
            found = config(path, DOCKER_GID="999")["services"]["airlock"]["build"]
            # Which folder is built does not depend on which of the two paths is typed.
            self.assertEqual(found["context"], str(ROOT))
            self.assertTrue((ROOT / found["dockerfile"]).is_file())


class Services(unittest.TestCase):
    def test_by_default_there_is_one_and_the_gpus_are_asked_for(self):
        names = compose(PLAIN, "config", "--services").stdout.split()
        self.assertIn("airlock", names)
        services = config(PLAIN, "--profile", "gpu")["services"]
        self.assertNotIn("profiles", services["airlock"])
        gpu = load_yaml(PLAIN)["services"]["airlock-gpu"]
        self.assertEqual(gpu["profiles"], ["gpu"])
        device, = services["airlock-gpu"]["deploy"]["resources"]["reservations"]["devices"]
        self.assertEqual((device["driver"], device["capabilities"]), ("nvidia", ["gpu"]))
        ports = [services[name]["ports"] for name in services]
        self.assertNotEqual(*ports)

    def test_none_has_privilege_or_an_open_port(self):
        for path in (PLAIN, SOCKET):
            for name, service in config(path, "--profile", "gpu",
                                        DOCKER_GID="999")["services"].items():
                self.assertEqual(service["cap_drop"], ["ALL"], name)
                self.assertEqual(service["user"], "1000:1000")
                self.assertIs(service["read_only"], True)
                self.assertIn("no-new-privileges", service["security_opt"])
                for forbidden in ("privileged", "network_mode", "pid", "ipc", "cap_add"):
                    self.assertNotIn(forbidden, service)
                for port in service["ports"]:
                    self.assertTrue(port.startswith("127.0.0.1:"), port)

    def test_only_the_file_that_says_so_has_the_socket_and_the_risk_stands_in_it(self):
        for service in config(PLAIN, "--profile", "gpu")["services"].values():
            self.assertFalse(any("docker" in mount for mount in mounts(service)))
        found = config(SOCKET, DOCKER_GID="999")["services"]["airlock"]
        self.assertIn("/var/run/docker.sock", mounts(found))
        self.assertEqual(found["group_add"], ["999"])
        # Nothing else is different: what hardens the plain one hardens this one.
        plain = config(PLAIN)["services"]["airlock"]
        for key in ("volumes", "group_add", "environment"):
            found.pop(key), plain.pop(key, None)
        found["security_opt"].sort(), plain["security_opt"].sort()
        self.assertEqual(found, plain)
        comment = SOCKET.read_text(encoding="utf8").split("services:")[0]
        self.assertIn("root on this host", comment)

    def test_without_the_group_of_the_socket_it_does_not_start(self):
        done = compose(SOCKET, "config", check=False)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("the group of the socket", done.stderr)


class Settings(unittest.TestCase):
    def example(self):
        lines = (COMPOSE / ".env.example").read_text(encoding="utf8").splitlines()
        return dict(match.groups() for line in lines
                    if (match := re.match(r"#?([A-Z_]+)=(.*)$", line)))

    def test_every_variable_of_the_example_is_one_of_the_files(self):
        text = PLAIN.read_text(encoding="utf8") + SOCKET.read_text(encoding="utf8")
        used = set(re.findall(r"\$\{([A-Z_]+)", text))
        used |= set(re.findall(r"^    ([A-Z_]+):$", text, re.MULTILINE))
        self.assertGreater(len(self.example()), 10)
        self.assertEqual(set(self.example()) - used, set())

    def test_every_setting_of_the_service_is_one_and_takes_the_example(self):
        environment = config(PLAIN)["services"]["airlock"]["environment"]
        environment |= config(SOCKET, DOCKER_GID="999")["services"]["airlock"]["environment"]
        given = {name: self.example().get(name) or value or ""
                 for name, value in environment.items()}
        done = subprocess.run([str(airlock.binary()), "serve", "--print-config"], text=True,
                              env={"PATH": "/usr/bin:/bin", "HOME": "/tmp", **given},
                              capture_output=True, check=True)
        self.assertIn("max_wall: 10m ", done.stdout)
        self.assertNotIn("no setting has this variable", done.stdout)

    def test_a_setting_that_is_none_would_be_told(self):
        done = subprocess.run([str(airlock.binary()), "serve", "--print-config"], text=True,
                              env={"HOME": "/tmp", "AIRLOCK_SLOT": "1"}, capture_output=True,
                              check=True)
        self.assertIn("AIRLOCK_SLOT: no setting has this variable", done.stdout)

    def test_the_filled_in_file_is_not_for_git(self):
        self.assertEqual(run("git", "-C", ROOT, "check-ignore", "deploy/compose/.env").returncode,
                         0)


if __name__ == "__main__":
    sys.exit(run_tests("__main__"))
