"""The peers: how each is started on the no-op, and what it needs around it.

Each peer gets flags that seal the program in as far as it can, and nothing that it does not need.
A peer that is not installed is in the table with the package that brings it.
"""

import contextlib
import glob
import io
import json
import os
import re
import shutil
import subprocess
import tarfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from measure import MeasureError

# With our pid, as another bench may run beside this one.
CGROUP_PARENT = f"airlock-bench.{os.getpid()}"
MEMORY_BYTES = 512 * 1024 * 1024
PIDS = 128
DOCKERD_START_S = 20


@dataclass
class Peer:
    key: str
    title: str
    argv: list[str]           # with "{n}" for a number that is never used twice
    shown: str                # the command line for the page, without this machine's paths
    iterations: int           # per round, at each concurrency
    measurer: str = "harness"  # "self": argv takes --count and --workers and prints the samples
    wrapper: list[str] = field(default_factory=list)  # put before the harness
    priority: list[str] = field(default_factory=list)  # put before everything else
    warmup: int = 1           # starts before those that count
    settle_s: float = 0       # rest after a measurement, so that what it left to do hits nobody
    timeout_s: float = 60
    version: str = ""
    missing: str = ""         # why it cannot be measured


def first_line(argv: list[str]) -> str:
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return ((done.stdout or done.stderr).strip().splitlines() or [""])[0]


def package_version(package: str) -> str:
    return first_line(["dpkg-query", "-W", "-f", "${Package} ${Version}", package])


def find_program(name: str) -> str:
    """Debian's own first: another version may come before it in PATH."""
    for folder in ("/usr/bin", "/usr/sbin"):
        if os.access(f"{folder}/{name}", os.X_OK):
            return f"{folder}/{name}"
    return shutil.which(name) or ""


def needs(peer: Peer, program: str, package: str) -> Peer:
    peer.version = package_version(package)
    if not find_program(program):
        peer.missing = f"{program} is not installed (apt-get install {package})"
    return peer


def write_view(folder: Path, policy: Path) -> Path:
    """What of the host airlock shows, for the floor: it makes as many mounts as airlock does."""
    kinds = {"etc": "etc", "devices": "device", "proc_masks": "mask"}
    lines, kind = [], None
    for line in policy.read_text().splitlines():
        if section := re.match(r"(\w+):", line):
            kind = kinds.get(section[1])
        elif kind and (entry := re.match(r'\s*- \{path: "?([^",]+)"?,', line)):
            lines += [f"{kind} {path}" for path in sorted(glob.glob(entry[1]))]
    view = folder / "view"
    view.write_text("\n".join(lines) + "\n")
    return view


def own_peers(bin_dir: Path, noop: Path, view: Path) -> list[Peer]:
    """What is started without anything installed: the two floors and ourselves."""
    def built(name: str) -> str:
        return str(bin_dir / name)

    floor = [built("bench-floor"), "--parent", CGROUP_PARENT, "--view", str(view)]
    run = [built("airlock"), "run"]
    libc = built("bench-noop-libc")
    peers = [
        Peer("fork", "fork + exec", [str(noop)], "NOOP", 25),
        Peer("fork_libc", "fork + exec, glibc static", [libc], "NOOP_LIBC", 10),
        Peer("floor", "floor (loop in C)", [*floor, str(noop)],
             "bench-floor --count N NOOP", 10, measurer="self"),
        Peer("floor_process", "floor, as a process", [*floor, "--count", "1", str(noop)],
             "bench-floor --count 1 NOOP", 8),
        Peer("protocol", "airlock, create + exec + destroy", [built("bench-launcher"), str(noop)],
             "bench-launcher --count N NOOP", 10, measurer="self"),
        Peer("airlock", "airlock run", [*run, str(noop)], "airlock run NOOP", 10),
        Peer("airlock_libc", "airlock run, glibc static", [*run, libc],
             "airlock run NOOP_LIBC", 5),
    ]
    for peer in peers:
        if not os.access(peer.argv[0], os.X_OK):
            peer.missing = f"{Path(peer.argv[0]).name} is not built"
    return peers


def process_peers(noop: Path) -> list[Peer]:
    folder = str(noop.parent)
    bare = ["bwrap", "--unshare-all", "--ro-bind", "/usr", "/usr", "--ro-bind", folder, "/bench"]
    full = ["--symlink", "usr/lib", "/lib", "--symlink", "usr/lib64", "/lib64", "--symlink",
            "usr/bin", "/bin", "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp",
            "--die-with-parent"]
    inside = f"/bench/{noop.name}"
    firejail = ["firejail", "--quiet", "--noprofile", "--private", "--private-dev", "--net=none",
                "--ipc-namespace", "--caps.drop=all", "--nonewprivs", "--seccomp"]
    return [
        needs(Peer("bwrap", "bwrap --unshare-all", [*bare, inside],
                   "bwrap --unshare-all --ro-bind /usr /usr --ro-bind FOLDER /bench "
 "/bench/NOOP", 10),
              "bwrap", "bubblewrap"),
        needs(Peer("bwrap_full", "bwrap, with proc, dev and tmp", [*bare, *full, inside],
                   "the same with --proc /proc --dev /dev --tmpfs /tmp, links, "
 "--die-with-parent", 5),
              "bwrap", "bubblewrap"),
        needs(Peer("firejail", "firejail", [*firejail, str(noop)], " ".join(firejail) + " NOOP", 2),
              "firejail", "firejail"),
    ]


def write_bundle(folder: Path, program: Path, argv: list[str]) -> Path:
    """An OCI bundle with one program as its whole root file system, at the path that is argv[0]."""
    root = folder / "bundle" / "rootfs"
    root.mkdir(parents=True)
    shutil.copy(program, root / argv[0].lstrip("/"))
    plain = ["nosuid", "noexec", "nodev"]
    config = {
        "ociVersion": "1.0.0",
        "process": {"terminal": False, "user": {"uid": 0, "gid": 0}, "args": argv, "cwd": "/",
                    "env": ["PATH=/usr/bin:/bin"], "noNewPrivileges": True},
        "root": {"path": "rootfs", "readonly": True},
        "hostname": "bench",
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc", "options": plain},
            {"destination": "/dev", "type": "tmpfs", "source": "tmpfs",
             "options": ["nosuid", "mode=755"]},
            {"destination": "/dev/pts", "type": "devpts", "source": "devpts",
             "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666"]},
            {"destination": "/tmp", "type": "tmpfs", "source": "tmpfs", "options": ["size=64m"]},
        ],
        "linux": {
            "resources": {"memory": {"limit": MEMORY_BYTES}, "pids": {"limit": PIDS}},
            "namespaces": [{"type": kind}
                           for kind in ("pid", "network", "ipc", "uts", "mount", "cgroup")],
            "maskedPaths": ["/proc/kcore", "/proc/keys", "/proc/timer_list"],
            "readonlyPaths": ["/proc/sys", "/proc/sysrq-trigger"],
        },
    }
    (folder / "bundle" / "config.json").write_text(json.dumps(config))
    return folder / "bundle"


def runtime_peers(folder: Path, noop: Path) -> list[Peer]:
    bundle = str(write_bundle(folder, noop, ["/noop"]))
    crun = Peer("crun", "crun run",
                ["crun", "--root", str(folder / "crun"), "--cgroup-manager=cgroupfs", "run",
                 "--bundle", bundle, CGROUP_PARENT + "-{n}"],
                "crun --cgroup-manager=cgroupfs run --bundle BUNDLE ID", 3)
    if Path("/sys/fs/cgroup/unified").is_dir():
        # crun refuses the hybrid layout; it is content where the unified mount cannot be seen.
        crun.wrapper = ["unshare", "--mount", "--propagation", "private", "sh", "-c",
                        'umount /sys/fs/cgroup/unified && exec "$@"', "sh"]
    flags = ["--platform=ptrace", "--network=none", "--ignore-cgroups"]
    runsc = Peer("runsc", "runsc run (ptrace)",
                 ["runsc", "--root", str(folder / "runsc"), *flags, "run", "--bundle", bundle,
                  CGROUP_PARENT + "-{n}"],
                 "runsc " + " ".join(flags) + " run --bundle BUNDLE ID", 2)
    return [needs(crun, "crun", "crun"), needs(runsc, "runsc", "runsc")]


@contextlib.contextmanager
def cgroup_parent():
    """The group of ours below which the floor and docker make theirs, wherever they need one."""
    mount = Path("/sys/fs/cgroup")
    unified = (mount / "cgroup.controllers").exists()
    parents = [mount] if unified else [mount / name for name in ("memory", "pids", "cpuacct")]
    for parent in parents:
        (parent / CGROUP_PARENT).mkdir(exist_ok=True)
    if unified:
        for group in (mount, mount / CGROUP_PARENT):
            (group / "cgroup.subtree_control").write_text("+memory +pids")
    try:
        yield
    finally:
        # With what a killed crun left: its groups are named like its containers.
        names = (CGROUP_PARENT, f"{CGROUP_PARENT}-*", f"*/{CGROUP_PARENT}", f"*/{CGROUP_PARENT}-*")
        for group in [group for name in names for group in mount.glob(name)]:
            with contextlib.suppress(OSError):
                group.rmdir()


@contextlib.contextmanager
def dockerd(folder: Path):
    """A dockerd of our own on a private socket, without touching the host's firewall or bridges;
    it knows the runtime runsc. Gives its address once it answers."""
    endpoint = f"unix://{folder}/docker.sock"
    runsc = {"path": find_program("runsc") or "runsc",
             "runtimeArgs": ["--platform=ptrace", "--network=none"]}
    config = folder / "daemon.json"
    config.write_text(json.dumps({"runtimes": {"runsc": runsc}}))
    with open(folder / "dockerd.log", "wb") as log:
        daemon = subprocess.Popen(
            [find_program("dockerd"), "--config-file", str(config), "--host", endpoint,
             "--data-root", str(folder / "docker"), "--exec-root", str(folder / "docker-exec"),
             "--pidfile", str(folder / "docker.pid"), "--iptables=false", "--ip6tables=false",
             "--bridge=none", "--ip-forward=false", "--ip-masq=false"],
            stdout=log, stderr=log, start_new_session=True)
    try:
        deadline = time.monotonic() + DOCKERD_START_S
        version = [find_program("docker"), "-H", endpoint, "version"]
        while subprocess.run(version, capture_output=True).returncode != 0:
            if time.monotonic() > deadline:
                raise MeasureError(f"dockerd did not answer within {DOCKERD_START_S} s")
            time.sleep(0.2)
        yield endpoint
    finally:
        daemon.terminate()
        daemon.wait(timeout=30)


def import_image(endpoint: str, program: Path, image: str, name: str) -> None:
    """Gives dockerd an image of one file, /NAME."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        tar.add(program, arcname=name)
    done = subprocess.run([find_program("docker"), "-H", endpoint, "import", "-", image],
                          input=archive.getvalue(), capture_output=True, timeout=60)
    if done.returncode != 0:
        raise MeasureError(done.stderr.decode(errors="replace").strip())


@contextlib.contextmanager
def docker_peer(folder: Path, noop: Path):
    """`docker run`, with a dockerd that is there for as long as it."""
    endpoint = f"unix://{folder}/docker.sock"
    argv = [find_program("docker") or "docker", "-H", endpoint, "run", "--rm", "--network=none",
            f"--memory={MEMORY_BYTES}", f"--pids-limit={PIDS}",
            f"--cgroup-parent=/{CGROUP_PARENT}", "airlock-bench", "/noop"]
    peer = needs(Peer("docker", "docker run", argv,
                      "docker run --rm --network=none --memory=512m --pids-limit=128 IMAGE "
                      "/noop", 2,
                      timeout_s=120),
                 "dockerd", "docker.io")
    with contextlib.ExitStack() as stack:
        if not peer.missing:
            try:
                import_image(stack.enter_context(dockerd(folder)), noop, "airlock-bench", "noop")
            except MeasureError as error:
                peer.missing = str(error)
        yield peer
