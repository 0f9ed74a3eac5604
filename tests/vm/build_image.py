#!/usr/bin/env python3
"""Builds the disk image and initramfs of the test machine, or finds them in the cache.

The result is a folder build/vm/<key>/ with `vmlinuz`, `initramfs` and `root.img`. The key is a hash
of this file, packages.txt and guest/boot.sh, so an unchanged checkout builds once and is offline
afterwards. Packages come from wherever this machine's own apt takes them. Needs root (mmdebstrap
writes a root file system with its owners). The root image is never written to later: the machine
runs on a throw-away overlay of it.
"""

import fcntl
import glob
import hashlib
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
CACHE = HERE.parent.parent / "build" / "vm"
KERNEL_METAPACKAGE = "linux-image-cloud-amd64"
ROOT_IMAGE_SIZE = "3G"  # sparse; what is free in it holds the disks of rootless sandboxes
BUILD_TIMEOUT_SECONDS = 900

# In load order: the initramfs has insmod only, so each module follows what it depends on.
BOOT_MODULES = ("virtio_ring", "virtio", "virtio_pci_legacy_dev", "virtio_pci_modern_dev",
                "virtio_pci", "virtio_blk")
# Hardware drivers are most of the kernel package, and the machine has only these.
DRIVERS_KEPT = ("block", "char", "net/veth.ko", "net/tun.ko", "net/dummy.ko", "virtio")
NOT_NEEDED_IN_GUEST = ("usr/share/doc", "usr/share/man", "usr/share/locale", "usr/share/info",
                       "var/cache/apt", "var/lib/apt")


def run(argv, **options):
    """Runs one build command; its output appears only when it fails."""
    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          timeout=BUILD_TIMEOUT_SECONDS, check=False, **options)
    if done.returncode != 0:
        sys.exit(f"test machine image: `{' '.join(map(str, argv))}` failed "
                 f"with {done.returncode}:\n{done.stdout}")
    return done.stdout


def packages():
    lines = (HERE / "packages.txt").read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def cache_key():
    digest = hashlib.sha256()
    for name in ("build_image.py", "packages.txt", "guest/boot.sh"):
        digest.update((HERE / name).read_bytes())
    return digest.hexdigest()[:16]


def debian_codename():
    for line in pathlib.Path("/etc/os-release").read_text().splitlines():
        if line.startswith("VERSION_CODENAME="):
            return line.split("=", 1)[1].strip('"')
    sys.exit("test machine image: /etc/os-release names no VERSION_CODENAME; is this Debian?")


def apt_sources(codename):
    """The source files of this machine that carry the release, not third parties' archives."""
    candidates = ["/etc/apt/sources.list"]
    candidates += sorted(glob.glob("/etc/apt/sources.list.d/*.list"))
    candidates += sorted(glob.glob("/etc/apt/sources.list.d/*.sources"))
    found = [name for name in candidates
             if os.path.exists(name) and names_suite(pathlib.Path(name).read_text(), codename)]
    if not found:
        sys.exit(f"test machine image: no apt source of this machine offers {codename}")
    return found


def names_suite(text, codename):
    for line in text.splitlines():
        words = line.split()
        if words and words[0] in ("Suites:", "deb") and codename in words:
            return True
    return False


def apt_options():
    """How this machine reaches its archive (proxies, clock checks), and nothing else."""
    wanted = ("Acquire::http", "Acquire::https", "Acquire::Check-", "Acquire::Retries")
    dump = run(["apt-config", "dump", "Acquire"])
    return [line for line in dump.splitlines() if line.startswith(wanted) and '""' not in line]


def fetch_kernel(work):
    """Unpacks the newest cloud kernel and returns (folder, release)."""
    depends = run(["apt-cache", "depends", "--no-recommends", "--no-suggests", KERNEL_METAPACKAGE])
    names = [line.split()[1] for line in depends.splitlines() if "Depends:" in line]
    if not names:
        sys.exit(f"test machine image: apt knows no {KERNEL_METAPACKAGE}; run `apt-get update`")
    run(["apt-get", "-o", "APT::Sandbox::User=root", "download", names[0]], cwd=work)
    (package,) = work.glob("linux-image-*.deb")
    folder = work / "kernel"
    run(["dpkg", "-x", package, folder])
    (modules,) = (folder / "lib" / "modules").iterdir()
    return folder, modules.name


def make_root(work, codename):
    root = work / "root"
    argv = ["mmdebstrap", "--quiet", "--mode=root", "--variant=minbase",
            f"--include={','.join(packages())}"]
    argv += [f"--aptopt={option}" for option in apt_options()]
    add_user = "useradd --create-home --uid 1000 --shell /bin/bash tester"
    argv += [f"--customize-hook=chroot \"$1\" {add_user}"]
    argv += [codename, root, *apt_sources(codename)]
    run(argv)
    for name in NOT_NEEDED_IN_GUEST:
        shutil.rmtree(root / name, ignore_errors=True)
    # How the archive was reached is this machine's business, and the guest has no network.
    (root / "etc/apt/sources.list").unlink(missing_ok=True)
    for name in ("etc/apt/apt.conf.d", "etc/apt/sources.list.d"):
        shutil.rmtree(root / name)
    (root / "etc/hostname").write_text("testmachine\n")
    (root / "etc/hosts").write_text("127.0.0.1 localhost testmachine\n::1 localhost\n")
    (root / "payload").mkdir()
    (root / "var/lib/airlock").mkdir()
    return root


def install_modules(kernel, release, root):
    source = kernel / "lib" / "modules" / release
    target = root / "lib" / "modules" / release
    shutil.copytree(source, target, ignore=shutil.ignore_patterns("drivers"))
    for name in DRIVERS_KEPT:
        driver = source / "kernel" / "drivers" / name
        kept = target / "kernel" / "drivers" / name
        kept.parent.mkdir(parents=True, exist_ok=True)
        if driver.is_dir():
            shutil.copytree(driver, kept)
        else:
            shutil.copy2(driver, kept)
    run(["chroot", root, "depmod", release])


def make_initramfs(work, kernel, release, root, target):
    tree = work / "initramfs"
    for name in ("bin", "modules", "dev", "newroot"):
        (tree / name).mkdir(parents=True)
    shutil.copy2(root / "bin/busybox", tree / "bin/busybox")
    shutil.copy2(HERE / "guest/boot.sh", tree / "init")
    (tree / "init").chmod(0o755)
    for order, name in enumerate(BOOT_MODULES):
        (module,) = (kernel / "lib/modules" / release).rglob(name + ".ko")
        shutil.copy2(module, tree / "modules" / f"{order:02}-{name}.ko")
    run(["sh", "-c", f"find . | {tree}/bin/busybox cpio -o -H newc | gzip -1 > {target}"], cwd=tree)


def build(final):
    if os.geteuid() != 0:
        sys.exit("test machine image: building it needs root (mmdebstrap --mode=root)")
    with tempfile.TemporaryDirectory(prefix="building-", dir=CACHE) as name:
        work = pathlib.Path(name)
        made = work / "made"
        made.mkdir()
        kernel, release = fetch_kernel(work)
        root = make_root(work, debian_codename())
        install_modules(kernel, release, root)
        make_initramfs(work, kernel, release, root, made / "initramfs")
        shutil.copy2(kernel / "boot" / f"vmlinuz-{release}", made / "vmlinuz")
        run(["mke2fs", "-q", "-t", "ext4", "-O", "^has_journal", "-E", "root_owner=0:0", "-d", root,
             made / "root.img", ROOT_IMAGE_SIZE])
        made.rename(final)


def base_image():
    """Returns the folder of the image that belongs to this checkout, building it when it is new."""
    CACHE.mkdir(parents=True, exist_ok=True)
    final = CACHE / cache_key()
    with open(CACHE / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not final.is_dir():
            print("test machine: building its disk image (once; about a minute)", flush=True)
            build(final)
            for old in CACHE.iterdir():
                if old.is_dir() and old != final and not old.name.startswith(("run-", "core-")):
                    shutil.rmtree(old)
    return final


if __name__ == "__main__":
    print(base_image())
