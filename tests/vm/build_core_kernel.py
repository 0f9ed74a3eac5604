#!/usr/bin/env python3
"""Builds a small Linux with core scheduling from Debian's linux-source, or finds it in the cache.

Debian 12 builds none of its kernels with CONFIG_SCHED_CORE, so what the sandbox does with it can be
tried only on a kernel of our own: same version and patches as Debian's, the options of
core_kernel.config. Ten minutes of processor time, once; kept in build/vm/core-<key>/. Needs gcc,
make, flex, bison, bc, libelf-dev and xz-utils.
"""

import hashlib
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

import build_image

HERE = pathlib.Path(__file__).resolve().parent
CONFIG = HERE / "core_kernel.config"
SOURCE_PACKAGE = "linux-source-6.1"
TOOLS = ("gcc", "make", "flex", "bison", "bc", "xz")
BUILD_TIMEOUT_SECONDS = 3600


def fetch_source(work):
    build_image.run(["apt-get", "-o", "APT::Sandbox::User=root", "download", SOURCE_PACKAGE],
                    cwd=work)
    (package,) = work.glob("linux-source-*.deb")
    build_image.run(["dpkg", "-x", package, work])
    (archive,) = (work / "usr" / "src").glob("*.tar.xz")
    build_image.run(["tar", "-xf", archive, "-C", work])
    (source,) = (path for path in work.glob("linux-source-*") if path.is_dir())
    return source


def configure(source):
    build_image.run(["make", "-s", "tinyconfig"], cwd=source)
    build_image.run(["scripts/kconfig/merge_config.sh", "-m", ".config", CONFIG], cwd=source)
    build_image.run(["make", "-s", "olddefconfig"], cwd=source)
    # The kernel's own tools drop an option silently when something it needs is off.
    has = (source / ".config").read_text().splitlines()
    lost = [line for line in CONFIG.read_text().splitlines()
            if line.startswith("CONFIG_") and line not in has]
    if lost:
        sys.exit(f"core kernel: these options did not hold: {' '.join(lost)}")


def build(final):
    missing = [tool for tool in TOOLS if not shutil.which(tool)]
    if missing:
        sys.exit(f"core kernel: missing tools: {' '.join(missing)}")
    print("test machine: building a kernel with core scheduling (once; ten processor minutes)",
          flush=True)
    with tempfile.TemporaryDirectory(prefix="core-building-", dir=build_image.CACHE) as name:
        source = fetch_source(pathlib.Path(name))
        configure(source)
        subprocess.run(["make", "-s", f"-j{os.cpu_count()}", "bzImage"], cwd=source, check=True,
                       stdout=subprocess.DEVNULL, timeout=BUILD_TIMEOUT_SECONDS)
        made = pathlib.Path(name, "made")
        made.mkdir()
        shutil.copy2(source / "arch/x86/boot/bzImage", made / "vmlinuz")
        made.rename(final)


def core_kernel():
    """Returns the path of the kernel, building it when it is new."""
    build_image.CACHE.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256(CONFIG.read_bytes() + SOURCE_PACKAGE.encode())
    final = build_image.CACHE / f"core-{digest.hexdigest()[:16]}"
    if not final.is_dir():
        build(final)
    return final / "vmlinuz"


if __name__ == "__main__":
    print(core_kernel())
