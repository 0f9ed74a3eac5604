#!/usr/bin/env python3
"""Jobs whose repository comes over ssh, from a real sshd, through the egress gateway.

    tests/blackbox/jobs_ssh_test.py
"""

import contextlib
import json
import pathlib
import subprocess
import sys
import tempfile

import case
import jobs_test
from case import SLOW

from support import airlock, job_servers, ssh_server

GOOD, CHANGED, UNKNOWN = (f"{name}.airlock.test" for name in ("code", "changed", "unknown"))
LOOK_AROUND = """\
import json, os, pathlib, subprocess
found = subprocess.run(["grep", "-rlas", "PRIVATE" + " KEY", "/tmp", "/workspace", "/output",
                        "/build", "/dev/shm"], capture_output=True, text=True).stdout.split()
pathlib.Path("/output/seen.json").write_text(json.dumps({
    "keys": found,
    "variables": sorted(name for name in os.environ if "SSH" in name),
    "lib": pathlib.Path("/workspace/lib/lib.txt").read_text(),
    "git": os.path.exists("/workspace/.git")}))
"""


class Runner(jobs_test.Runner):
    """One whose operator has set ssh up, with submodules."""

    def start(self):
        self.sshd = self.stack.enter_context(ssh_server.SshServer(self.folder / "ssh"))
        hosts = self.folder / "known_hosts"
        other_key = ssh_server.make_key(self.folder / "another_host_key")
        hosts.write_text("# ours\n" + self.sshd.known_host(GOOD)
                         + self.sshd.known_host(CHANGED, other_key))
        hosts.chmod(0o644)
        configuration = self.servers.configuration(
            self.attempts, private=[self.sshd.address()],
            repo_hosts=[f"{name}:{self.sshd.port}" for name in (GOOD, CHANGED, UNKNOWN)])
        (self.folder / "airlock.yaml").write_text(configuration + f"""\
source:
  ssh_known_hosts_file: {hosts}
  ssh_key_file: {self.sshd.key}
  submodules: true
""")
        super().start()


class Ssh(case.Case):
    @classmethod
    def setUpClass(cls):
        folder = cls.enterClassContext(tempfile.TemporaryDirectory(prefix="jobs-ssh-"))
        cls.runner = cls.enterClassContext(Runner(folder))
        cls.repository = cls.runner.servers.repository
        lib = job_servers.Repository(cls.runner.folder, "lib")
        cls.lib_commit = lib.commit({"lib.txt": "of the submodule"})
        cls.commit = cls.repository.commit(
            {"inference.py": LOOK_AROUND, "requirements.txt": "",
             ".gitmodules": '[submodule "lib"]\n\tpath = lib\n\turl = ../lib.git\n'},
            submodules={"lib": cls.lib_commit})

    def submit(self, host=GOOD, user=None):
        return self.runner.submit(
            repo_url=self.runner.sshd.url(host, self.repository.bare, user))

    def fails(self, job, *parts):
        record = self.runner.wait(job, ("failed",))
        self.assertEqual(record["error_code"], "clone_failed", record["error_message"])
        self.assertTrue(record["error_message"].startswith("Git clone failed: "), record)
        for part in parts:
            self.assertIn(part, record["error_message"])

    def test_a_repository_and_its_submodule_are_cloned_and_the_key_is_gone(self):
        job = self.submit()
        record = self.runner.wait(job, ("completed",))
        self.assertEqual(record["repo_commit"], self.commit)
        seen = json.loads(self.runner.output(job, "seen.json"))
        self.assertEqual(seen, {"keys": [], "variables": [], "lib": "of the submodule",
                                "git": False})
        reached = {(entry["host"], entry["port"], entry["allowed"]) for entry in record["egress"]}
        self.assertEqual(reached, {(GOOD, self.runner.sshd.port, True)}, record["egress"])

    def test_a_commit_is_taken_by_its_name(self):
        job = self.runner.submit(repo_url=self.runner.sshd.url(GOOD, self.repository.bare),
                                 repo_commit=self.commit)
        self.assertEqual(self.runner.wait(job, ("completed",))["repo_commit"], self.commit)

    def test_a_host_without_a_known_key_is_not_trusted(self):
        self.fails(self.submit(UNKNOWN), f"no key of {UNKNOWN}", "source.ssh_known_hosts_file")

    def test_a_host_with_another_key_is_not_trusted(self):
        self.fails(self.submit(CHANGED), f"the host key of {CHANGED} is not",
                   "source.ssh_known_hosts_file")

    def test_a_host_that_does_not_take_the_key_is_said_with_the_setting(self):
        self.fails(self.submit(user="nobody"), GOOD, "source.ssh_key_file")


class Start(case.Case):
    def refused(self, yaml, *parts):
        file = self.write("airlock.yaml", yaml)
        done = subprocess.run(self.command("serve", "--config", file), capture_output=True,
                              text=True, timeout=30 * SLOW, check=False)
        self.assertEqual(done.returncode, airlock.USAGE_ERROR, done.stderr)
        for part in parts:
            self.assertIn(part, done.stderr)

    def key(self, mode=0o600):
        key = self.folder / "key"
        with contextlib.suppress(FileNotFoundError):
            key.unlink()
        ssh_server.make_key(key)
        key.chmod(mode)
        return key

    def test_files_that_cannot_be_used_refuse_the_start_by_their_setting(self):
        hosts = self.write("known_hosts", "h ssh-ed25519 AAAA\n")
        missing = self.folder / "missing"
        both = f"source:\n  ssh_known_hosts_file: {{}}\n  ssh_key_file: {{}}\n"
        self.refused(both.format(missing, self.key()), "source.ssh_known_hosts_file",
                     f"open {missing}")
        self.refused(both.format(self.write("empty", "# none\n"), self.folder / "key"),
                     "source.ssh_known_hosts_file", "names no host")
        self.refused(both.format(hosts, missing), "source.ssh_key_file", f"open {missing}")
        self.refused(both.format(hosts, hosts), "source.ssh_key_file", "chmod 600")
        hosts.chmod(0o600)
        self.refused(both.format(hosts, hosts), "source.ssh_key_file", "no private key")

    def test_a_key_that_others_read_is_refused_with_the_fix(self):
        hosts = self.write("known_hosts", "h ssh-ed25519 AAAA\n")
        key = self.key(0o644)
        self.refused(f"source:\n  ssh_known_hosts_file: {hosts}\n  ssh_key_file: {key}\n",
                     "source.ssh_key_file", f"chmod 600 {key}")

    def test_a_key_without_known_hosts_is_refused(self):
        self.refused(f"source:\n  ssh_key_file: {self.key()}\n", "source.ssh_key_file",
                     "set source.ssh_known_hosts_file")

    def test_a_key_does_not_belong_into_flags(self):
        done = subprocess.run(self.command("serve", "--source-ssh-key", "x"), capture_output=True,
                              text=True, timeout=30 * SLOW, check=False)
        self.assertEqual(done.returncode, airlock.USAGE_ERROR)
        self.assertIn("AIRLOCK_SOURCE_SSH_KEY", done.stderr)


if __name__ == "__main__":
    sys.exit(case.run_tests(__name__))
