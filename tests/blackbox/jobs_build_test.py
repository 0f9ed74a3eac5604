#!/usr/bin/env python3
"""Jobs that install packages: from an index of Python and a registry of npm, through the gateway.

    tests/blackbox/jobs_build_test.py

Both are a web server of our own, which the operator names to every build. Whoever builds reaches
nothing else, and what was built for one tenant is not found by another.
"""

import functools
import http.server
import json
import shutil
import sys
import tempfile
import unittest

import case
import jobs_test

from support import job_servers, registries

ASKS_ANOTHER = """
import subprocess, sys
sys.exit(subprocess.call(["curl", "-sSf", "{url}"]))
"""
GREETS = """
import sys
if sys.argv[2] == "inference":
    import greeting
    open("/output/text", "w").write(greeting.text)
"""
GREETS_IN_NODE = """\
const greeting = require("greeting");
require("fs").writeFileSync("/output/text", greeting);
"""


class Files(http.server.SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.server.hits.append(self.path)
        super().do_GET()

    def log_message(self, *_):
        pass


class Runner(jobs_test.Runner):
    """One whose operator has a mirror of both registries."""

    def start(self):
        www = self.folder / "www"
        www.mkdir()
        self.index = job_servers.Server("index", functools.partial(Files, directory=str(www)))
        self.stack.callback(self.index.server_close)
        self.stack.callback(self.index.shutdown)
        host = self.index.host()
        registries.make_pypi(www, f"http://{host}")
        registries.make_npm(www, f"http://{host}")
        (self.folder / "airlock.yaml").write_text(self.servers.configuration(
            self.attempts, private=[self.index.address()], build_hosts=[host],
            build_env=[f"PIP_INDEX_URL=http://{host}/simple",
                       f"PIP_TRUSTED_HOST={host.partition(':')[0]}",
                       "PIP_DISABLE_PIP_VERSION_CHECK=1", "PIP_RETRIES=0",
                       f"npm_config_registry=http://{host}/npm/", "npm_config_audit=false",
                       "npm_config_update_notifier=false", "npm_config_fetch_retries=0"]))
        super().start()


class Build(case.Case):
    @classmethod
    def setUpClass(cls):
        folder = cls.enterClassContext(tempfile.TemporaryDirectory(prefix="jobs-build-"))
        cls.runner = cls.enterClassContext(Runner(folder))

    def setUp(self):
        super().setUp()
        self.runner.index.hits.clear()

    def submit(self, **more):
        return self.runner.submit(memory_gb=2, disk_quota_gb=0.5, **more)

    def greeting_of(self, job):
        record = self.runner.wait(job, ("completed",), 120)
        return record, self.runner.output(job, "text").decode()

    def test_requirements_are_installed_once_for_each_tenant(self):
        self.runner.commit(inference_py=GREETS, requirements_txt="greeting==1.0\n")
        record, text = self.greeting_of(self.submit())
        self.assertEqual(text, "from the index")
        self.assertFalse(record["build_cached"])
        self.assertIn("/simple/greeting/greeting-1.0-py3-none-any.whl", self.runner.index.hits)
        reached = {(entry["host"], entry["phase"]) for entry in record["egress"]
                   if entry["allowed"] and entry["phase"] == "build"}
        self.assertEqual(reached, {("index.airlock.test", "build")}, record["egress"])

        self.runner.index.hits.clear()
        record, text = self.greeting_of(self.submit())
        self.assertEqual((record["build_cached"], text), (True, "from the index"))
        self.assertEqual(self.runner.index.hits, [])

        record, text = self.greeting_of(self.submit(miner_hotkey="another"))
        self.assertEqual((record["build_cached"], text), (False, "from the index"))
        self.assertNotEqual(self.runner.index.hits, [])

    def test_a_package_that_is_not_there_fails_the_build_in_its_own_words(self):
        self.runner.commit(inference_py=GREETS, requirements_txt="no-such-package==1.0\n")
        record = self.runner.wait(self.submit(), ("failed",), 120)
        self.assertEqual(record["error_code"], "build_failed", record["error_message"])
        self.assertIn("no-such-package", self.runner.log_text(record["job_id"]))

    def test_a_build_reaches_no_other_host(self):
        url = f"http://{self.runner.servers.model.host()}/model.json"
        setup = ASKS_ANOTHER.format(url=url)
        self.runner.commit(airlock_yaml="build: [[python3, ask.py]]\ninference: \"true\"\n",
                           ask_py=setup)
        record = self.runner.wait(self.submit(), ("failed",), 120)
        self.assertEqual(record["error_code"], "build_failed", record["error_message"])
        self.assertEqual(self.runner.servers.model.hits, [])

    # Debian's package of that name and the nodejs of others exclude one another.
    @unittest.skipUnless(shutil.which("npm"), "this host has no npm")
    def test_dependencies_of_node_are_installed(self):
        self.runner.servers.repository.commit({
            "airlock.yaml": "inference: [node, main.js]\n", "main.js": GREETS_IN_NODE,
            "package.json": json.dumps({"name": "job", "version": "1.0.0",
                                        "dependencies": {"greeting": "1.0.0"}})})
        record, text = self.greeting_of(self.submit())
        self.assertEqual(text, "from the registry")
        self.assertIn("/npm/greeting-1.0.0.tgz", self.runner.index.hits)
        self.assertFalse(record["build_cached"])


if __name__ == "__main__":
    sys.exit(case.run_tests(__name__))
