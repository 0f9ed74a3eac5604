#!/usr/bin/env python3
"""What changes a host: the scripts, run for real in folders and namespaces of their own; AppArmor's
profile, by its parser; Falco's rules, by what is written about them.

    tests/deploy/host_test.py

Neither Ubuntu nor Falco is there: that the profile lifts the restriction, and that the rules see
what they are for, is not seen here.
"""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

from deploy_case import DEPLOY, ROOT, load_yaml, run, run_tests
from images import PROGRAMS
from support import airlock

SETUP = ROOT / "tools" / "sandbox" / "setup_rootless_runner.sh"
NOBODY = 65534


class Folder(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="host-test-"))
        self.folder.chmod(0o755)
        self.addCleanup(shutil.rmtree, self.folder)

    def program(self, name, text):
        path = self.folder / "path" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\n{text}\n", encoding="utf8")
        path.chmod(0o755)
        return path

    def checkout(self):
        """The scripts beside programs that are built: a copy, so that nothing is built in ours."""
        target = self.folder / "checkout"
        for name in ("deploy", "tools/sandbox"):
            shutil.copytree(ROOT / name, target / name, symlinks=True)
        for name in ("dev", "setup.sh", "Makefile"):
            shutil.copy2(ROOT / name, target)
        programs = target / "build/release/bin"
        programs.mkdir(parents=True)
        for name in (*PROGRAMS, "airlock-jail-testhooks"):
            shutil.copy2(airlock.binary().parent / name, programs)
        return target


class Scripts(unittest.TestCase):
    def test_shellcheck_finds_nothing(self):
        scripts = [ROOT / "setup.sh", SETUP, *DEPLOY.rglob("*.sh")]
        self.assertGreater(len(scripts), 2)
        run("shellcheck", *scripts)
        # Hooks of mmdebstrap are texts for another shell.
        run("shellcheck", "--exclude", "SC2016", ROOT / "dev")

    def test_lines_of_the_deployment_fit(self):
        for path in [*DEPLOY.rglob("*"), *(ROOT / ".github").rglob("*.yml"), ROOT / "setup.sh"]:
            if path.is_file() and path.suffix not in (".tpl", ".txt"):
                for number, line in enumerate(path.read_text(encoding="utf8").splitlines(), 1):
                    self.assertLessEqual(len(line), 100, f"{path}:{number}")

    def test_every_target_of_make_is_a_verb(self):
        text = (ROOT / "Makefile").read_text(encoding="utf8").replace("\\\n", " ")
        verbs = re.search(r"^VERBS := (.*)$", text, re.MULTILINE)[1].split()
        for target in ("setup-all", "install-service", "docker-build", "docker-run",
                       "docker-run-dev"):
            self.assertIn(target, verbs)
        known = run(ROOT / "dev", "help").stdout
        for verb in verbs:
            self.assertRegex(known, rf"(?m)^  {verb}\b")
            self.assertIn(f"./dev {verb}", run("make", "-n", "-C", ROOT, verb).stdout)


class WholeHost(Folder):
    """setup.sh with DESTDIR: everything that it writes lands there."""

    def setup(self, *words, **environment):
        # What the suite was given is what is installed: nothing has to be compiled.
        for name in ("cmake", "apt-get", "sudo"):
            self.program(name, "exit 0")
        return run(*words, check=False, cwd="/", env={
            "PATH": f"{self.folder}/path:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(self.folder),
            **environment})

    def test_it_installs_programs_units_and_settings(self):
        checkout, root = self.checkout(), self.folder / "root"
        (root / "etc/apparmor.d/abi").mkdir(parents=True)
        (root / "etc/apparmor.d/abi/4.0").touch()
        done = self.setup("bash", checkout / "setup.sh", DESTDIR=str(root))
        self.assertIn("installed to", done.stdout + done.stderr)
        self.assertIn("at the full tier", done.stdout)  # of airlock doctor, which is the last
        files = {str(path.relative_to(root)) for path in root.rglob("*") if not path.is_dir()}
        self.assertEqual(files, {
            *(f"usr/local/lib/airlock/{name}" for name in PROGRAMS), "usr/local/bin/airlock",
            "etc/systemd/system/airlock.service", "etc/systemd/system/airlock.socket",
            "etc/airlock/environment", "etc/apparmor.d/airlock", "etc/apparmor.d/abi/4.0"})
        settings = root / "etc/airlock/environment"
        self.assertEqual(settings.stat().st_mode & 0o777, 0o600)
        run(root / "usr/local/bin/airlock", "version")

        settings.write_text("AIRLOCK_SLOTS=2\n", encoding="utf8")
        self.setup("make", "-C", checkout, "install-service", f"DESTDIR={root}")
        self.assertEqual(settings.read_text(encoding="utf8"), "AIRLOCK_SLOTS=2\n")

    def test_without_apparmor_4_there_is_no_profile(self):
        checkout, root = self.checkout(), self.folder / "root"
        self.setup("make", "-C", checkout, "install-service", f"DESTDIR={root}")
        self.assertTrue((root / "etc/systemd/system/airlock.service").exists())
        self.assertFalse((root / "etc/apparmor.d").exists())


class Rootless(Folder):
    """The rootless setup where there is no systemd, and on hosts that have things in its way."""

    def setUp(self):
        super().setUp()
        self.project = self.checkout()
        self.home = self.folder / "home"
        self.home.mkdir()
        os.chown(self.home, NOBODY, NOBODY)

    def setup(self, *words, host="true"):
        """As nobody, on a host that a script of root's in a mount namespace has changed."""
        as_nobody = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "env",
                     "-i", f"HOME={self.home}", "PATH=/usr/sbin:/usr/bin:/sbin:/bin",
                     str(self.project / "tools/sandbox/setup_rootless_runner.sh"), *words]
        return subprocess.run(["unshare", "--mount", "sh", "-ec", f'{host}\nexec "$@"', "sh",
                               *map(str, as_nobody)], text=True, capture_output=True, check=False,
                              cwd="/", timeout=60 * airlock.SLOW)

    def switches(self, **values):
        """A script that gives the kernel these settings of /proc/sys/kernel, for who looks."""
        for name, value in values.items():
            (self.folder / "kernel").mkdir(exist_ok=True)
            (self.folder / "kernel" / name).write_text(f"{value}\n", encoding="utf8")
        return f"mount --bind {self.folder}/kernel /proc/sys/kernel"

    def installed(self):
        return sorted(str(path.relative_to(self.home)) for path in self.home.rglob("*")
                      if not path.is_dir())

    def test_without_systemd_it_installs_and_prints_the_command(self):
        done = self.setup("--project-dir", self.project)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        command = re.search(r"start it by hand: (.*) serve", done.stdout)[1]
        self.assertEqual(command, f"{self.home}/.local/lib/airlock/airlock")
        self.assertEqual(self.installed(), sorted([
            ".config/airlock/environment", ".config/systemd/user/airlock.service",
            ".local/bin/airlock", *(f".local/lib/airlock/{name}" for name in PROGRAMS)]))
        self.assertIn("airlock", run(self.home / ".local/bin/airlock", "version").stdout)
        mode = (self.home / ".config/airlock/environment").stat().st_mode
        self.assertEqual(mode & 0o777, 0o600)

        before = {path: path.lstat().st_mtime_ns for path in self.home.rglob("*airlock*")}
        again = self.setup("--project-dir", self.project)
        self.assertEqual(again.returncode, 0)
        self.assertNotIn("installed", again.stdout)
        for path, changed in before.items():
            if path.is_file() and not path.is_symlink():
                self.assertEqual(path.lstat().st_mtime_ns, changed, path)

    def test_check_changes_nothing(self):
        done = self.setup("--check")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("would install", done.stdout)
        self.assertEqual(self.installed(), [])

    def assert_stopped(self, host, *said):
        for words in (["--check"], []):
            done = self.setup(*words, host=host)
            self.assertEqual(done.returncode, 1, done.stdout)
            for text in said:
                self.assertIn(text, done.stdout)
            self.assertEqual(self.installed(), [])

    def test_a_host_without_user_namespaces(self):
        self.assert_stopped(self.switches(unprivileged_userns_clone=0),
                            "FAIL  user namespaces are switched off",
                            "sysctl -w kernel.unprivileged_userns_clone=1")

    def test_ubuntu_without_the_profile_and_with_it(self):
        restricted = self.switches(apparmor_restrict_unprivileged_userns=1)
        self.assert_stopped(restricted, "FAIL  AppArmor restricts user namespaces",
                            "apparmor_parser -r /etc/apparmor.d/airlock")
        profiles = self.folder / "apparmor.d"
        profiles.mkdir()
        shutil.copy(DEPLOY / "apparmor" / "airlock", profiles)
        with_profile = f"{restricted}\nmount --bind {profiles} /etc/apparmor.d"
        done = self.setup("--check", host=with_profile)
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertIn("has Airlock's profile", done.stdout)

    def test_subordinate_ids(self):
        ranges = self.folder / "subids"
        for text, said in ((f"{NOBODY}:100000:65536\n", "ok    65536 subordinate uids"),
                           ("nobody:100000:10\nnobody:200000:20\n", "ok    30 subordinate uids"),
                           ("somebody:100000:65536\n", "WARN  0 subordinate uids")):
            ranges.write_text(text, encoding="utf8")
            host = f"mount --bind {ranges} /etc/subuid; mount --bind {ranges} /etc/subgid"
            done = self.setup("--check", host=host)
            self.assertEqual(done.returncode, 0)
            self.assertIn(said, done.stdout)

    def test_what_is_no_checkout_and_what_is_no_option(self):
        done = self.setup("--project-dir", self.folder)
        self.assertEqual((done.returncode, self.installed()), (1, []))
        self.assertIn("is no checkout of Airlock", done.stderr)
        self.assertEqual(self.setup("--projectdir", self.folder).returncode, 2)

    def test_root_is_sent_elsewhere(self):
        done = run(self.project / "tools/sandbox/setup_rootless_runner.sh", check=False,
                   env={"PATH": os.environ["PATH"], "HOME": str(self.home)})
        self.assertEqual(done.returncode, 1)
        self.assertIn("install-service", done.stderr)


class AppArmor(unittest.TestCase):
    TEXT = (DEPLOY / "apparmor" / "airlock").read_text(encoding="utf8")
    # Two lines that version 4 brought, and that Debian 12's parser does not know.
    NEWER = ("abi <abi/4.0>,", "  userns,")

    def parse(self, text):
        with tempfile.NamedTemporaryFile("w", suffix=".profile") as profile:
            profile.write(text)
            profile.flush()
            return run("apparmor_parser", "--skip-kernel-load", "--skip-cache", profile.name,
                       check=False).returncode

    def test_the_parser_takes_it(self):
        lines = self.TEXT.splitlines()
        for line in self.NEWER:
            self.assertEqual(lines.count(line), 1)
        version = re.search(r"version (\d+)", run("apparmor_parser", "--version").stdout)[1]
        text = self.TEXT
        if int(version) < 4:
            text = "\n".join(line for line in lines if line not in self.NEWER) + "\n"
        self.assertEqual(self.parse(text), 0)
        for good, bad in (("flags=(unconfined)", "flags=(unconfine)"),
                          ("@{airlock_folders}/", "@{airlock_folder}/"),
                          ("include if exists <local/airlock>", "include <no/such/file>")):
            self.assertIn(good, text)
            self.assertNotEqual(self.parse(text.replace(good, bad)), 0, bad)

    def test_it_names_every_place_that_is_installed_to(self):
        programs = re.search(r"airlock_programs} = (.*)", self.TEXT)[1].split()
        for program in ("airlock", "airlock-jail", "airlock-daemon", "airlock-init"):
            self.assertIn(program, programs)  # who makes namespaces, and who starts those
        folders = " ".join(re.findall(r"airlock_folders} \+?= (.*)", self.TEXT))
        for folder in ("/usr/local/lib/airlock", "@{HOME}/.local/lib/airlock",
                       "@{HOME}/**/build/release/bin"):
            self.assertIn(folder, folders)


class Falco(unittest.TestCase):
    FIELDS = {"rule": {"desc", "condition", "output", "priority"}, "macro": {"condition"},
              "list": {"items"}}
    OPTIONAL = {"tags", "enabled", "exceptions", "source", "warn_evttypes"}
    PRIORITIES = ("EMERGENCY", "ALERT", "CRITICAL", "ERROR", "WARNING", "NOTICE", "INFO", "DEBUG")
    WORDS = {"and", "or", "not", "in", "contains", "startswith", "endswith", "exists", "intersects",
             "true", "false"}
    CLASSES = ("evt", "proc", "fd", "user", "container", "thread", "group")

    def setUp(self):
        self.rules = load_yaml(DEPLOY / "falco" / "airlock_rules.yaml")

    def named(self, kind):
        return [entry for entry in self.rules if kind in entry]

    def test_every_rule_has_what_it_must(self):
        self.assertGreater(len(self.named("rule")), 5)
        for entry in self.rules:
            kind, = set(entry) & set(self.FIELDS)
            self.assertEqual(self.FIELDS[kind] - set(entry), set(), entry[kind])
            self.assertEqual(set(entry) - self.FIELDS[kind] - self.OPTIONAL - {kind}, set())
        for rule in self.named("rule"):
            self.assertIn(rule["priority"], self.PRIORITIES)
            self.assertTrue(rule["rule"].startswith("Airlock "))
            # Without a type of event a rule is evaluated for each system call of the host.
            self.assertRegex(rule["condition"], r"^evt\.type (=|in)")
        names = [rule["rule"] for rule in self.named("rule")]
        self.assertEqual(len(names), len(set(names)))

    def test_conditions_name_only_what_is_there(self):
        known = {entry[kind] for kind in ("macro", "list") for entry in self.named(kind)}
        used = set()
        for entry in [*self.named("rule"), *self.named("macro")]:
            condition = re.sub(r'"[^"]*"', '""', entry["condition"])
            self.assertEqual(condition.count("("), condition.count(")"), condition)
            # Values stand behind an operator or in a list; what else is a word is a macro.
            bare = re.sub(r"\bin \([^)]*\)", "", condition)
            bare = re.sub(r"(=|>=|startswith|contains) *[^\s()]+", "", bare)
            for word in re.findall(r"[A-Za-z_][\w.\[\]-]*", bare):
                if "." in word:
                    self.assertIn(word.split(".")[0], self.CLASSES)
                elif word not in self.WORDS:
                    self.assertIn(word, known)
            used |= {name for name in known if re.search(rf"\b{name}\b", condition)}
        self.assertEqual(used, known)
        for rule in self.named("rule"):
            fields = re.findall(r"%([\w.]+)", rule["output"])
            self.assertTrue(fields)
            for field in fields:
                self.assertIn(field.split(".")[0], self.CLASSES)

    def test_they_know_every_program(self):
        programs = next(entry for entry in self.rules if entry.get("list") == "airlock_programs")
        self.assertEqual(set(PROGRAMS) - set(programs["items"]), set())


if __name__ == "__main__":
    sys.exit(run_tests("__main__"))
