"""Containers for tests: gVisor by an OCI bundle, Docker by a daemon of our own.

Everything runs in one folder, is bounded in time, and is ended by the ids of what was started. The
root file system is made once by mmdebstrap (with whatever sources this machine's apt has) and kept
in build/tiers/, since no registry can be counted on.
"""

import contextlib
import hashlib
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from support import airlock

sys.path.append(str(airlock.ROOT / "tests" / "vm"))
import build_image  # noqa: E402

CACHE = airlock.ROOT / "build" / "tiers"
PACKAGES = "python3,libcurl4,libsodium23,libsqlite3-0,libprometheus-cpp-core1.0"
# Where the programs and the tests are to be found inside.
PROGRAMS = "/opt/airlock"
TESTS = "/airlock/tests"
IMAGE = "airlock-tiers-test"
ENVIRONMENT = {
    "PATH": f"/usr/local/bin:/usr/bin:/bin:{PROGRAMS}",
    "AIRLOCK": f"{PROGRAMS}/airlock",
    "PYTHONDONTWRITEBYTECODE": "1",
    "HOME": "/tmp",
    # How long what is emulated takes is for the tests inside to know, too.
    "AIRLOCK_TEST_SLOW": os.environ.get("AIRLOCK_TEST_SLOW", "1"),
}


def root_archive(packages=PACKAGES):
    """The path of a tar file with a small Debian and Python."""
    key = hashlib.sha256(packages.encode() + pathlib.Path(__file__).read_bytes()).hexdigest()[:12]
    archive = CACHE / f"root-{key}.tar"
    if archive.exists():
        return archive
    CACHE.mkdir(parents=True, exist_ok=True)
    codename = build_image.debian_codename()
    passing = archive.with_suffix(f".{os.getpid()}.tar")
    options = [f"--aptopt={option}" for option in build_image.apt_options()]
    subprocess.run(
        ["mmdebstrap", "--quiet", "--mode=root", "--variant=essential", f"--include={packages}",
         *options, codename, str(passing), *build_image.apt_sources(codename)],
        check=True, timeout=600, stdin=subprocess.DEVNULL,
    )
    passing.rename(archive)
    return archive


def unpack_root(target):
    target.mkdir()
    subprocess.run(["tar", "-C", target, "-xf", root_archive()], check=True, timeout=120)
    for path in (PROGRAMS, TESTS, "/workspace"):
        (target / path[1:]).mkdir(parents=True, exist_ok=True)


def binds():
    """What of the host is seen inside, read-only."""
    return {airlock.binary().parent: PROGRAMS, airlock.ROOT / "tests": TESTS}


def communicate(command, seconds, stop):
    """(exit code, output) of a command; None for a code when it had to be stopped."""
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        out, _ = process.communicate(timeout=seconds)
        return process.returncode, out.decode("utf8", "replace")
    except subprocess.TimeoutExpired:
        stop()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        out, _ = process.communicate(timeout=30)
        return None, out.decode("utf8", "replace")


class Gvisor:
    """A pod: uid 1000, no capability, read-only root, /tmp and /workspace writable."""

    def __init__(self, top):
        self.top = pathlib.Path(top) / "gvisor"
        self.top.mkdir()
        self.state = self.top / "state"
        self.state.mkdir()
        unpack_root(self.top / "root")

    def _runsc(self, *words):
        return ["runsc", "--root", str(self.state), "--platform=ptrace", "--network=none",
                "--ignore-cgroups", *words]

    def _config(self, words):
        mounts = [
            {"destination": "/proc", "type": "proc", "source": "proc"},
            {"destination": "/dev", "type": "tmpfs", "source": "tmpfs"},
        ]
        for path in ("/tmp", "/workspace"):
            mounts.append({"destination": path, "type": "tmpfs", "source": "tmpfs",
                           "options": ["nosuid", "nodev", "mode=1777"]})
        for ours, theirs in binds().items():
            mounts.append({"destination": theirs, "type": "bind", "source": str(ours),
                           "options": ["bind", "ro"]})
        sets = ("bounding", "effective", "inheritable", "permitted", "ambient")
        return {
            "ociVersion": "1.0.0",
            "hostname": "pod",
            "root": {"path": str(self.top / "root"), "readonly": True},
            "mounts": mounts,
            "process": {
                "user": {"uid": 1000, "gid": 1000},
                "args": list(map(str, words)),
                "env": [f"{name}={value}" for name, value in ENVIRONMENT.items()],
                "cwd": "/",
                "noNewPrivileges": True,
                "capabilities": {name: [] for name in sets},
            },
            "linux": {"namespaces": [
                {"type": kind} for kind in ("pid", "network", "ipc", "uts", "mount")]},
        }

    def run(self, words, seconds):
        bundle = pathlib.Path(tempfile.mkdtemp(prefix="bundle-", dir=self.top))
        (bundle / "config.json").write_text(json.dumps(self._config(words)))
        name = bundle.name

        def remove(*how):
            with contextlib.suppress(subprocess.TimeoutExpired):
                subprocess.run(self._runsc(*how, name), capture_output=True, timeout=20,
                               check=False)

        try:
            return communicate(self._runsc("run", "--bundle", str(bundle), name), seconds,
                               lambda: remove("kill"))
        finally:
            remove("delete", "--force")
            self._reap(name)

    @staticmethod
    def _reap(name):
        """Sandboxes and gofers that a failed start left: known by the name we gave."""
        for entry in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
            with contextlib.suppress(OSError, ValueError):
                words = entry.read_bytes().decode("utf8", "replace")
                if name in words and "runsc" in words:
                    os.kill(int(entry.parent.name), signal.SIGKILL)


class DockerDaemon:
    """A Docker daemon of our own, without any image and without a network."""

    options = ()  # more words of dockerd's
    environment = {}  # besides our own
    prefix = ()  # words before `dockerd`

    def __init__(self, top):
        self.top = pathlib.Path(top) / "docker"
        self.top.mkdir(exist_ok=True)
        self.socket = f"unix://{self.top}/socket"
        self.number = 0
        self.process = None
        try:
            self.start()
            self._prepare()
        except BaseException:
            self.close()
            raise

    def start(self):
        with open(self.top / "log", "a") as log:
            self.process = subprocess.Popen(
                [*self.prefix, "dockerd", "--data-root", self.top / "data",
                 "--exec-root", self.top / "exec", "--pidfile", self.top / "pid",
                 "-H", self.socket, "--bridge=none",
                 "--iptables=false", "--ip-masq=false", *self.options],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                env={**os.environ, **self.environment},
            )
        self._wait()

    def kill(self):
        """Dies at the worst moment, its containerd with it; what they ran is left to itself."""
        containerd = self.top / "exec" / "containerd" / "containerd.pid"
        containerd_pid = int(containerd.read_text())
        self.process.kill()
        self.process.wait(10)
        with contextlib.suppress(ProcessLookupError):
            os.kill(containerd_pid, signal.SIGKILL)
        for left in (self.top / "pid", containerd):
            left.unlink(missing_ok=True)

    def _prepare(self):
        """What it has to have before it is used."""

    def _wait(self):
        until = time.monotonic() + 60 * airlock.SLOW
        while time.monotonic() < until and self.process.poll() is None:
            if self._docker("version", seconds=10)[0] == 0:
                return
            time.sleep(0.1)
        raise RuntimeError("dockerd did not start: " + (self.top / "log").read_text()[-500:])

    def _docker(self, *words, seconds=30):
        return communicate(["docker", "-H", self.socket, *words], seconds, lambda: None)

    def _end_shims(self):
        """Of containers that a dockerd which was killed has left: known by our folder."""
        for entry in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
            with contextlib.suppress(OSError, ValueError):
                words = entry.read_bytes().decode("utf8", "replace")
                if "containerd-shim" in words and f"{self.top}/exec/" in words:
                    os.kill(int(entry.parent.name), signal.SIGKILL)

    def close(self):
        if self.process is None:
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(10)
        self._end_shims()
        for line in reversed(pathlib.Path("/proc/self/mounts").read_text().splitlines()):
            point = line.split()[1]
            if point.startswith(f"{self.top}/"):
                subprocess.run(["umount", "--lazy", point], check=False, capture_output=True)


class Docker(DockerDaemon):
    """With one image, in which the programs and the tests are."""

    def _prepare(self):
        self._docker("import", str(root_archive()), IMAGE, seconds=120)

    def run(self, options, words, seconds):
        self.number += 1
        name = f"tiers-{os.getpid()}-{self.number}"
        command = ["docker", "-H", self.socket, "run", "--rm", "--name", name, "--network", "none",
                   "--hostname", "airlock", "--pids-limit", "2000"]
        for ours, theirs in binds().items():
            command += ["--volume", f"{ours}:{theirs}:ro"]
        for variable, value in ENVIRONMENT.items():
            command += ["--env", f"{variable}={value}"]
        try:
            return communicate([*command, *options, IMAGE, *map(str, words)], seconds,
                               lambda: self._docker("kill", name))
        finally:
            self._docker("rm", "--force", name)


@contextlib.contextmanager
def work_folder():
    path = tempfile.mkdtemp(prefix="tiers-containers-")
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
