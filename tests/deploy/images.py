"""A Docker daemon, with a Debian of this machine's package sources to build and to run on."""

import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import time

from deploy_case import DEPLOY, ROOT, SECONDS
from support import airlock, containers

# BuildKit is a plug-in to newer clients; Debian's has it inside.
CLIENT = "/usr/bin/docker" if os.access("/usr/bin/docker", os.X_OK) else "docker"
CACHE = ROOT / "build" / "deploy-images"
BASE = "airlock-test-debian:12"
SERVICE_PACKAGES = ("python3", "libcurl4", "libsodium23", "libsqlite3-0", "libssl3",
                    "libprometheus-cpp-core1.0", "ca-certificates")
# What is shipped, of what was built.
PROGRAMS = tuple(sorted(path.name for path in airlock.binary().parent.glob("airlock*")
                        if path.is_file() and not path.name.endswith("-testhooks")))
# Whatever a container may be given beside its own user: what sandboxes are made of.
OPEN = ("--security-opt", "seccomp=unconfined", "--security-opt", "apparmor=unconfined",
        "--security-opt", "systempaths=unconfined")


def root_archive(packages=()):
    """A tar file with a small Debian and these packages, made once."""
    key = hashlib.sha256(" ".join(packages).encode()).hexdigest()[:12]
    archive = CACHE / f"root-{key}.tar"
    if not archive.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        codename = containers.build_image.debian_codename()
        passing = archive.with_suffix(f".{os.getpid()}.tar")
        options = [f"--aptopt={option}" for option in containers.build_image.apt_options()]
        if packages:
            options.append(f"--include={','.join(packages)}")
        subprocess.run(
            ["mmdebstrap", "--quiet", "--mode=root", "--variant=apt", *options, codename,
             str(passing), *containers.build_image.apt_sources(codename)],
            check=True, timeout=SECONDS * 2, stdin=subprocess.DEVNULL)
        passing.rename(archive)
    return archive


class Daemon(containers.DockerDaemon):
    def docker(self, *words, seconds=SECONDS, check=True, **environment):
        done = subprocess.run([CLIENT, "-H", self.socket, *map(str, words)], text=True,
                              capture_output=True, stdin=subprocess.DEVNULL, timeout=seconds,
                              check=False, env=dict(os.environ, **environment))
        if check and done.returncode != 0:
            raise AssertionError(f"docker {words}: {done.stdout[-3000:]}{done.stderr[-3000:]}")
        return done

    def load(self, archive, name):
        self.docker("import", archive, name)

    def build(self, context, *options):
        self.docker("build", "--network", "host", "--file", DEPLOY / "docker" / "Dockerfile",
                    "--build-arg", f"BASE_IMAGE={BASE}", *options, context, DOCKER_BUILDKIT="1")

    def inspect(self, name):
        return json.loads(self.docker("inspect", name).stdout)[0]


def build_context(folder):
    """A checkout as far as the stage `prebuilt` wants it: the programs under test."""
    target = pathlib.Path(folder) / "context"
    programs = target / "build" / "release" / "bin"
    programs.mkdir(parents=True)
    for name in (*PROGRAMS, "airlock-jail-testhooks"):
        source = airlock.binary().parent / name
        if source.exists():
            shutil.copy2(source, programs)
    for name in ("dev", ".dockerignore"):
        shutil.copy2(ROOT / name, target)
    return target


def wait_until(condition, what, seconds=60 * airlock.SLOW):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if value := condition():
            return value
        time.sleep(0.2)
    raise AssertionError(f"{what}: not within {seconds:.0f} s")
