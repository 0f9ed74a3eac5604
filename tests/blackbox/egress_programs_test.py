#!/usr/bin/env python3
"""Programs as they are work through the egress gateway, which they find by variables alone.

    tests/blackbox/egress_programs_test.py [CLASS.TEST]...

pip, npm, git, curl, wget and urllib, each with servers of our own behind TLS; each is refused where
its host is not allowed.
"""

import os
import shutil
import subprocess
import sys
import unittest

import case
import egress_case
from egress_case import WORLD, EgressCase

from support import registries


def setUpModule():
    egress_case.set_up_module()


class Programs(EgressCase):
    """Programs as they are, which know nothing but the variables."""

    @classmethod
    def setUpClass(cls):
        www = WORLD["folder"] / "www"
        registries.make_pypi(www, "https://other.test")
        registries.make_npm(www, "https://other.test")
        cls.make_git(www)

    @staticmethod
    def make_git(www):
        source, env = www.parent / "git", {**os.environ, "GIT_CONFIG_GLOBAL": "/dev/null",
                                           "GIT_CONFIG_SYSTEM": "/dev/null"}
        def git(*words):
            subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@b", *words],
                           check=True, capture_output=True, env=env)
        git("init", "-q", "-b", "main", str(source))
        (source / "README").write_text("from the repository\n")
        git("-C", str(source), "add", "README")
        git("-C", str(source), "commit", "-q", "-m", "one")
        git("clone", "-q", "--bare", str(source), str(www / "repo.git"))
        git("-C", str(www / "repo.git"), "update-server-info")

    def shell(self, script, **more):
        ca = "/workspace/ca.pem"
        env = {"SSL_CERT_FILE": ca, "CURL_CA_BUNDLE": ca, "GIT_SSL_CAINFO": ca, "PIP_CERT": ca,
               "NODE_EXTRA_CA_CERTS": ca, "npm_config_cafile": ca, "npm_config_cache": "/tmp/npm",
               "npm_config_update_notifier": "false"}
        return self.run_inside(None, argv=["bash", "-ec", script], env=env, **more)

    def assert_works(self, script, wanted, **more):
        """And is refused where its host is not allowed."""
        result = self.shell(script, **more)
        self.assertEqual(result["exit_code"], 0, result["stderr"] + result["stdout"])
        self.assertIn(wanted, result["stdout"])
        refused = self.shell(script, network={"mode": "gateway", "allow": ["cdn.allowed.test"]},
                             **more)
        self.assertNotEqual(refused["exit_code"], 0, refused["stdout"])
        rules = [denial["rule"] for denial in refused["denied"]]
        self.assertIn("egress: not in the allow-list", rules, refused)

    def test_curl(self):
        self.assert_works("curl -fsS https://web.test/hello http://web.test/hello",
                          "hello\nhello\n")

    def test_curl_by_socks(self):
        self.assert_works("curl -fsS -x socks5h://127.0.0.1:3128 https://web.test/hello", "hello\n")

    def test_wget(self):
        self.assert_works("wget -q --tries=1 --ca-certificate=ca.pem -O - https://web.test/hello "
                          "http://web.test/hello", "hello\nhello\n")

    def test_urllib(self):
        self.assert_works("python3 -c 'import urllib.request as u\n"
                          "for s in \"http\", \"https\": "
                          "print(u.urlopen(s + \"://web.test/hello\").read())'", "b'hello\\n'")

    def test_git(self):
        self.assert_works("git clone -q https://web.test/repo.git r && cat r/README",
                          "from the repository")

    def test_pip(self):
        self.assert_works(
            "/usr/bin/python3 -m pip install -q --retries 0 --disable-pip-version-check "
            "--target /tmp/t --index-url https://web.test/simple greeting && "
            "PYTHONPATH=/tmp/t python3 -c 'import greeting; print(greeting.text)'",
            "from the index")

    # Debian's package of that name and the nodejs of others exclude one another.
    @unittest.skipUnless(shutil.which("npm"), "this host has no npm")
    def test_npm(self):
        self.assert_works(
            "npm install --silent --no-audit --no-fund --fetch-retries=0 "
            "--registry https://web.test/npm/ greeting && "
            "node -e 'console.log(require(\"greeting\"))'", "from the registry",
            limits={"pids": 512, "memory_bytes": 2 << 30})


if __name__ == "__main__":
    sys.exit(case.run_tests(__name__))
