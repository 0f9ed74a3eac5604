#!/usr/bin/env python3
"""The units, started by a real systemd that runs in a container.

    tests/deploy/systemd_test.py

The container has the capabilities of this machine and no cgroups that can be written to, so results
there say that limits of memory and processes are missing; the vm suite has those.
"""

import contextlib
import json
import pathlib
import re
import sys
import tempfile
import unittest

from deploy_case import DEPLOY, ROOT, run, run_tests
from images import OPEN, PROGRAMS, SERVICE_PACKAGES, Daemon, root_archive, wait_until
from support import airlock, containers

PACKAGES = (*SERVICE_PACKAGES, "systemd", "systemd-sysv", "dbus", "dbus-user-session",
            "libpam-systemd", "uidmap", "e2fsprogs", "git", "procps", "util-linux")
# All that a privileged container has, but the two that a machine like this one may lack itself.
CAPABILITIES = (
    "CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE "
    "NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_CHROOT SYS_PTRACE "
    "SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE SETFCAP "
    "SYSLOG").split()
# Loop devices are not namespaced: their numbers are the host's, and free ones are taken.
BOOT = ("mknod /dev/loop-control c 10 237; "
        "for i in $(seq 0 31); do mknod /dev/loop$i b 7 $i; done; exec /sbin/init")
NAME = "with-systemd"
SOURCE = "/src"
stack = contextlib.ExitStack()
daemon = None


def setUpModule():
    global daemon
    archive = root_archive(PACKAGES)
    top = stack.enter_context(containers.work_folder())
    daemon = stack.enter_context(contextlib.closing(Daemon(top)))
    daemon.load(archive, "systemd:test")
    binds = ["--volume", f"{ROOT}:{SOURCE}:ro"]
    if airlock.binary().parent != ROOT / "build/release/bin":
        binds += ["--volume", f"{airlock.binary().parent}:{SOURCE}/build/release/bin:ro"]
    capabilities = [word for name in CAPABILITIES for word in ("--cap-add", name)]
    daemon.docker("run", "--detach", "--name", NAME, "--network", "none", "--cgroupns", "private",
                  *capabilities, *OPEN, *binds, "--device-cgroup-rule", "b 7:* rwm",
                  "--device-cgroup-rule", "c 10:237 rwm", "--tmpfs", "/run:exec", "--tmpfs",
                  "/tmp:exec", "--volume", "/var/lib", "--env", "container=docker",
                  "--stop-signal", "SIGRTMIN+3", "systemd:test", "sh", "-c", BOOT)
    stack.callback(daemon.docker, "rm", "--force", "--volumes", NAME)
    wait_until(lambda: "running" in inside("systemctl is-system-running", check=False).stdout,
               "systemd runs")


def tearDownModule():
    stack.close()


def inside(script, check=True, user=None):
    """A shell script in the container, as root or as a user with a session."""
    words = ["bash", "-ec", script]
    if user:
        words = ["setpriv", "--reuid", user, "--regid", user, "--init-groups", "env", "-i",
                 f"HOME=/home/{user}", f"USER={user}", "PATH=/usr/bin:/bin",
                 "XDG_RUNTIME_DIR=/run/user/1000",
                 "DBUS_SESSION_BUS_ADDRESS=unix:path=/run/user/1000/bus", *words]
    return daemon.docker("exec", NAME, *words, check=check)


RUN = ("python3 - <<'END'\n"
       "import json, urllib.request\n"
       "body = json.dumps({'language': 'python', 'code': 'print(6 * 7)'}).encode()\n"
       "print(urllib.request.urlopen(urllib.request.Request(\n"
       "    'http://127.0.0.1:8088/v1/run', body, {'Content-Type': 'application/json'}),\n"
       "    timeout=30).read().decode())\nEND\n")


def result_of_a_run():
    return json.loads(inside(RUN).stdout)


class System(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        programs = " ".join(f"{SOURCE}/build/release/bin/{name}" for name in PROGRAMS)
        inside(f"install -D -t /usr/local/lib/airlock {programs}; "
               "ln -sf ../lib/airlock/airlock /usr/local/bin/airlock; "
               f"cp {SOURCE}/deploy/systemd/airlock.s* /etc/systemd/system; "
               "systemctl daemon-reload; systemctl enable --now airlock.socket airlock.service")

    @classmethod
    def tearDownClass(cls):
        inside("systemctl disable --now airlock.socket airlock.service")

    def show(self, *properties):
        words = " ".join(f"-p {name}" for name in properties)
        return dict(line.split("=", 1) for line in
                    inside(f"systemctl show airlock {words}").stdout.splitlines())

    def test_it_runs_programs_at_the_full_tier(self):
        result = result_of_a_run()
        self.assertEqual((result["outcome"], result["stdout"]), ("exited", "42\n"))
        self.assertEqual(result["isolation"]["tier"], "full")
        self.assertNotIn("uid_range", result["isolation"]["missing"])

    def test_it_is_found_under_the_evaluation_hosts_name(self):
        self.assertEqual(inside("systemctl is-active sandbox-runner").stdout.strip(), "active")

    def test_the_hardening_is_in_force(self):
        pid = self.show("MainPID")["MainPID"]
        status = inside(f"cat /proc/{pid}/status").stdout
        self.assertIn("NoNewPrivs:\t1", status)
        bounding = int(re.search(r"CapBnd:\s*(\w+)", status)[1], 16)
        for number in (16, 17, 13, 22, 25, 26):  # modules, raw I/O, raw packets, boot, time, tty
            self.assertFalse(bounding >> number & 1, number)
        root = f"/proc/{pid}/root"
        for path in ("/usr", "/etc"):
            self.assertNotEqual(inside(f"touch {root}{path}/x", check=False).returncode, 0, path)
        self.assertEqual(inside("touch /etc/x; rm /etc/x").returncode, 0)

    def test_a_supervisor_that_is_killed_is_started_again(self):
        before = self.show("MainPID")["MainPID"]
        inside(f"kill -9 {before}")
        wait_until(lambda: self.show("MainPID", "ActiveState") not in (
            {"MainPID": before, "ActiveState": "active"},) and "ready" in inside(
                "airlock health --ready", check=False).stdout, "it is started again")
        self.assertEqual(result_of_a_run()["outcome"], "exited")

    def test_a_job_goes_on_while_the_service_is_restarted(self):
        inside(
            "cd /; rm -rf /srv/repo /var/lib/airlock/files/demo.git; git init -q -b main /srv/repo;"
            "printf 'inference: echo started; sleep 8; echo done > /output/x\n'"
            " > /srv/repo/airlock.yaml; git -C /srv/repo add .;"
            "git -C /srv/repo -c user.name=me -c user.email=me@x commit -qm A;"
            "git clone -q --bare /srv/repo /var/lib/airlock/files/demo.git")
        done = inside("airlock submit file:///var/lib/airlock/files/demo.git 2>&1")
        job = re.search(r"job_[0-9a-f]+", done.stdout)[0]
        wait_until(lambda: "inference" in inside(f"airlock status {job}").stdout, "it runs")
        before = self.show("MainPID")["MainPID"]
        inside("systemctl restart airlock")
        self.assertNotEqual(self.show("MainPID")["MainPID"], before)
        wait_until(lambda: "completed" in inside(f"airlock status {job}", check=False).stdout,
                   "the job is completed")
        self.assertIn('"job.adopt"', inside("journalctl -u airlock --no-pager").stdout)


class Rootless(unittest.TestCase):
    """tools/sandbox/setup_rootless_runner.sh, by a user with a manager of systemd's."""

    SETUP = f"{SOURCE}/tools/sandbox/setup_rootless_runner.sh --project-dir {SOURCE}"

    @classmethod
    def setUpClass(cls):
        inside("useradd --create-home --uid 1000 alice; loginctl enable-linger alice")
        wait_until(lambda: inside("systemctl --user is-system-running", check=False,
                                  user="alice").stdout.strip() == "running", "alice has a manager")

    def pid(self):
        return inside("systemctl --user show -p MainPID airlock", user="alice").stdout

    def test_from_nothing_to_runs_and_again(self):
        checked = inside(f"{self.SETUP} --check", user="alice").stdout
        self.assertIn("would install /home/alice/.local/lib/airlock/airlock\n", checked)
        self.assertEqual(inside("ls -A ~/.local ~/.config 2>/dev/null", check=False,
                                user="alice").stdout, "")
        text = inside(self.SETUP, user="alice").stdout
        self.assertIn("65536 subordinate uids", text)
        self.assertIn("the service runs", text)
        result = result_of_a_run()
        self.assertEqual(result["stdout"], "42\n")
        self.assertEqual((result["isolation"]["tier"], result["isolation"]["rootless"]),
                         ("full", True))
        self.assertNotIn("uid_range", result["isolation"]["missing"])
        self.assertEqual(inside("systemctl --user is-active amon-sandbox-runner",
                                user="alice").stdout.strip(), "active")

        before = self.pid()
        again = inside(self.SETUP, user="alice").stdout
        self.assertNotIn("installed", again)
        self.assertEqual(self.pid(), before)
        self.assertIn("the files are in place",
                      inside(f"{self.SETUP} --check", user="alice").stdout)

        # Settings are the user's, programs are the checkout's.
        inside("echo AIRLOCK_LISTEN=http://127.0.0.1:8099 > ~/.config/airlock/environment; "
               "echo > ~/.local/lib/airlock/airlock-nest", user="alice")
        self.assertIn("installed /home/alice/.local/lib/airlock/airlock-nest",
                      inside(self.SETUP, user="alice").stdout)
        self.assertNotEqual(self.pid(), before)
        inside("~/.local/bin/airlock health --ready http://127.0.0.1:8099", user="alice")
        inside("systemctl --user disable --now airlock", user="alice")


class Analyzed(unittest.TestCase):
    """What systemd says of the files without starting them."""

    def test_they_are_understood_to_the_last_word(self):
        for name, folder in (("airlock.service", "system"), ("airlock.socket", "system"),
                             ("user/airlock.service", "user")):
            inside(f"mkdir -p /tmp/units/{folder}; "
                   f"cp {SOURCE}/deploy/systemd/{name} /tmp/units/{folder}/airlock."
                   f"{name.rsplit('.', maxsplit=1)[1]}")
        programs = "mkdir -p {0} && cp /bin/true {0}/airlock"
        inside(programs.format("/usr/local/lib/airlock"))
        inside(programs.format("/root/.local/lib/airlock"))
        for mode in ("system", "user"):
            said = inside(f"XDG_RUNTIME_DIR=/run systemd-analyze --{mode} --man=no verify "
                          f"/tmp/units/{mode}/* 2>&1")
            self.assertEqual(said.stdout, "", mode)
        inside("sed -i s/KillMode=process/KillMod=process/ /tmp/units/system/airlock.service")
        said = inside("systemd-analyze --man=no verify /tmp/units/system/airlock.service 2>&1",
                      check=False)
        self.assertIn("KillMod", said.stdout)

    def test_its_exposure_does_not_grow(self):
        def analyze(unit, check=True):
            return run("systemd-analyze", "security", "--offline=yes", "--no-pager",
                       "--threshold=85", unit, check=check)
        unit = DEPLOY / "systemd" / "airlock.service"
        analyze(unit)
        with tempfile.TemporaryDirectory() as folder:
            softer = pathlib.Path(folder) / "airlock.service"
            softer.write_text(re.sub("CapabilityBoundingSet=.*|NoNewPrivileges=.*", "",
                                     unit.read_text(encoding="utf8")), encoding="utf8")
            done = analyze(softer, check=False)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("Overall exposure level", done.stdout)


if __name__ == "__main__":
    sys.exit(run_tests("__main__"))
