#!/usr/bin/env python3
"""What tiers.py runs inside a container: the service, the probes, and attacks on the daemon.

    tiers_inside.py TIER [--probes] [--short] [--only PATTERN]

Prints one line per test, `ok NAME: TEXT` or `FAIL NAME: TEXT`, and at last `END`. The programs are
found through AIRLOCK. Controls of the probes are not run here: tests/security/run.py shows on the
host that each can succeed. What a tier does not stop must be named in `isolation.missing`:
NAMED_BY says by which name.
"""

import argparse
import base64
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import catalogue  # noqa: E402
import judging  # noqa: E402
import run as suite  # noqa: E402
import tiers_killed  # noqa: E402
from support import airlock, hostside  # noqa: E402

PORT = 8088
POD_PORT = 18099
SECRET = "secret-of-the-daemon-4711"
CANARY = "canary-of-the-pod-0815"
READY_SECONDS = 60
ALWAYS = {"cgroup", "disk_quota", "memory_peak", "mount_namespace", "pids_peak", "private_view"}
SAME_USER = {"uid_range", "supplementary_groups"}
NESTED = ALWAYS | SAME_USER | {"chmod", "denial_report", "landlock", "proc"}
PROCESS = ALWAYS | {
    "ipc_namespace", "network_namespace", "own_root", "pid_namespace", "sockets", "user_namespace",
    "uts_namespace",
}
# What depends on the machine and not on the tier.
VARIES = {"core_scheduling", "denial_report", "landlock", "proc", "signals"}

# Kinds that attack what surrounds a run on a host: not of a tier, and tested there.
LEFT_OUT = {"terminal", "message_escapes", "starve_instances", "huge_arguments", "huge_environment",
            "watch_host", "leaked_fd"}
# Probes that a tier does not stop, or that find nothing to look at, and the name in `missing` that
# says so.
WATCHED = {
    "resources disk 33554432 /workspace /tmp /output /build /dev/shm": "disk_quota",
    "resources inodes 100000": "disk_quota",
    "resources deep 100000": "disk_quota",
    "collect deep {output} 2000": "disk_quota",
}
NAMED_BY = {
    "nested-gvisor": {
        **WATCHED,
        "files nosuid": "mount_namespace",
        "processes seccomp-on": "proc",
        "ipc lock {shared_file}": "private_view",
        "collect hard-link {output} /etc/passwd": "private_view",
    },
    "process": {
        **WATCHED,
        "files contains /etc/passwd {host_user}:": "own_root",
        "files nosuid": "mount_namespace",
        "processes seccomp-on": "proc",
        "processes host-name {hostname}": "uts_namespace",
        "ipc lock {shared_file}": "private_view",
        "ipc lock /etc/ld.so.cache": "private_view",
        "ipc record-lock {shared_file}": "private_view",
    },
}


def say(good, name, text=""):
    print(f"{'ok  ' if good else 'FAIL'} {name}: {text}", flush=True)


def post(path, body, timeout=60):
    request = urllib.request.Request(
        f"http://127.0.0.1:{PORT}{path}",
        json.dumps(body).encode(),
        {"Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


def run_code(code, language="python", **more):
    status, result = post("/v1/run", {"language": language, "code": code, **more})
    return result if status == 200 else {"outcome": f"HTTP {status}", "stdout": str(result)}


class Service:
    """`airlock serve` beside us, and what surrounds it: a server of the pod on loopback."""

    def __init__(self, words):
        self.log_path = pathlib.Path("/tmp/serve.log")
        with open(self.log_path, "w") as log:
            self.process = subprocess.Popen(
                [str(airlock.binary()), "serve", "--slots", "2", *words],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, "AIRLOCK_TEST_SECRET": SECRET},
            )

    def wait_until_ready(self):
        until = time.monotonic() + READY_SECONDS
        while time.monotonic() < until and self.process.poll() is None:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{PORT}/ready", timeout=2) as answer:
                    if answer.status == 200:
                        return True
            except OSError:
                time.sleep(0.05)
        return False

    def log(self):
        return self.log_path.read_text(errors="replace")[-1500:]

    def pids(self):
        """The service and all below it, as the pod sees them."""
        parents = {}
        for entry in os.listdir("/proc"):
            if entry.isdigit():
                try:
                    text = pathlib.Path(f"/proc/{entry}/stat").read_text()
                    parents[int(entry)] = int(text[text.rindex(")") + 2 :].split()[1])
                except (OSError, ValueError, IndexError):
                    continue
        found = {self.process.pid}
        while more := {p for p, parent in parents.items() if parent in found} - found:
            found |= more
        return sorted(found)

    def end(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(45)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()


def serve_pod():
    """A server of ours on loopback and on an abstract socket; the list of who came."""
    came = []
    for made in (socket.create_server(("127.0.0.1", POD_PORT)), _abstract()):
        def loop(listener=made):
            while True:
                peer, _ = listener.accept()
                came.append(peer.recv(64))
                peer.close()

        threading.Thread(target=loop, daemon=True).start()
    return came


def _abstract():
    made = socket.socket(socket.AF_UNIX)
    made.bind("\0airlock-pod")
    made.listen()
    return made


# What a guest tries against the daemon. It prints a line for everything it got.
ATTACK = """
import ctypes, os, resource, signal, socket, sys
pids = {pids}
got = []
def attempt(name, action):
    try:
        result = action()
        if result is not None and result is not False:
            got.append(name + " " + repr(result)[:80])
    except Exception:
        pass
def connects(family, address):
    with socket.socket(family) as made:
        made.settimeout(2)
        made.connect(address)
        made.sendall(b"guest")
        return True
def holds(path, words):
    data = open(path, "rb").read(1 << 20)
    return [w for w in words if w.encode() in data] or None
for pid in pids:
    # In a pid namespace of its own the number is of one of the guest's own processes, or of none.
    foreign = not {own_pids} and pid != os.getpid()
    if foreign:
        attempt(f"signal {{pid}}", lambda: os.kill(pid, 0) is None)
        attempt(f"stop {{pid}}", lambda: os.kill(pid, signal.SIGSTOP) is None)
        attempt(f"limit {{pid}}", lambda: bool(resource.prlimit(pid, resource.RLIMIT_NOFILE)))
        attempt(f"affinity {{pid}}", lambda: os.sched_setaffinity(pid, {{0}}) is None)
        attempt(f"owner {{pid}}", lambda: __import__("fcntl").fcntl(0, 8, pid) == 0)
    for name in ("environ", "mem", "maps", "root/etc/passwd", "cwd/x", "fd", "auxv"):
        attempt(f"/proc/{{pid}}/{{name}}", lambda: foreign and (
            os.listdir(f"/proc/{{pid}}/fd") if name == "fd"
            else open(f"/proc/{{pid}}/{{name}}", "rb").read(64)) or None)
    attempt(f"environ of {{pid}}", lambda: holds(f"/proc/{{pid}}/environ", ["{secret}"]))
attempt("tcp api", lambda: connects(socket.AF_INET, ("127.0.0.1", {port})))
attempt("tcp pod", lambda: connects(socket.AF_INET, ("127.0.0.1", {pod_port})))
attempt("abstract", lambda: connects(socket.AF_UNIX, chr(0) + "airlock-pod"))
for path in {paths}:
    attempt("list " + path, lambda: os.listdir(path) or None)
    attempt("read " + path, lambda: open(path, "rb").read(64) or None)
    attempt("write " + path, lambda: open(path, "r+b") and True)
    attempt("make in " + path, lambda: open(path + "/guest-was-here", "wb") and True)
for folder in ("/usr/bin", "/usr/lib", "/etc", "/", *(["/input"] if {own_files} else [])):
    attempt("make in " + folder, lambda: open(folder + "/guest-was-here", "wb") and True)
    attempt("change mode of " + folder, lambda: os.chmod(folder, 0o777) is None)
attempt("change mode of a program", lambda: os.chmod("/usr/bin/env", 0o777) is None)
attempt("write to a program", lambda: open("/usr/bin/env", "r+b") and True)
for line in got:
    print("GOT", line)
print("ATTACKED")
"""


def state_paths():
    return [
        str(path)
        for path in (
            *pathlib.Path("/tmp").glob("airlock-*"),
            *pathlib.Path("/run").glob("airlock*"),
            pathlib.Path("/tmp/serve.log"),
            pathlib.Path("/tmp/state"),
            pathlib.Path("/tmp/state/api-key"),
            pathlib.Path("/tmp/pod-canary"),
        )
        if path.exists()
    ]


def attack(service, tier, came, missing):
    # Without Landlock the files of a container are its user's, which the result says.
    own_files = tier != "process" or "landlock" not in missing
    code = ATTACK.format(
        pids=service.pids(), own_pids=tier != "process", secret=SECRET, port=PORT,
        pod_port=POD_PORT, paths=state_paths() if own_files else [], own_files=own_files,
    )
    before = len(came)
    result = run_code(code, limits={"wall_ms": 60000, "cpu_ms": 60000})
    lines = result.get("stdout", "").splitlines()
    finished = "ATTACKED" in lines
    got = [line for line in lines if line.startswith("GOT")]
    say(
        finished and not got,
        "the guest gets nothing of the daemon, its state or the pod's network",
        "; ".join(got[:8]) or f"{result.get('outcome')} {result.get('detail')} "
        f"{result.get('stderr', '')[-200:]}",
    )
    result = run_code("kill -9 -1; kill -9 0; echo no", "bash")
    say(
        result.get("outcome") in ("signalled", "exited"),
        "a guest that kills all it can reaches itself only",
        f"{result.get('outcome')} {result.get('detail')} {result.get('stdout')}",
    )
    say(len(came) == before, "nobody came to the pod's servers", str(came))
    say(service.process.poll() is None, "the service is still there")


def check_pod_servers(came):
    """The control: from the pod itself both can be reached."""
    for family, address in (
        (socket.AF_INET, ("127.0.0.1", POD_PORT)),
        (socket.AF_UNIX, "\0airlock-pod"),
    ):
        with socket.socket(family) as made:
            made.connect(address)
            made.sendall(b"control")
    until = time.monotonic() + 5
    while len(came) < 2 and time.monotonic() < until:
        time.sleep(0.02)
    say(len(came) == 2, "control: the pod reaches its own servers", str(came))
    try:
        environment = pathlib.Path(f"/proc/{os.getpid()}/environ").read_bytes()
        os.kill(os.getpid(), 0)
        say(b"PATH=" in environment, "control: the pod reads an environment and signals")
    except OSError as error:
        say(False, "control: the pod reads an environment and signals", str(error))


def check_isolation(tier):
    result = run_code("print(6*7)")
    isolation = result.get("isolation", {})
    text = json.dumps(isolation)
    good = result.get("outcome") == "exited" and result.get("stdout") == "42\n"
    say(good, "a program runs", f"{result.get('outcome')}: {result.get('detail')}")
    level = "process" if tier == "process" else "container"
    say(
        isolation.get("tier") == tier and isolation.get("level") == level,
        f"the result says tier {tier}, level {level}",
        text,
    )
    missing = set(isolation.get("missing", [])) - VARIES
    expected = {
        "full": missing & (ALWAYS | SAME_USER),
        "nested-gvisor": NESTED - VARIES,
        "process": (PROCESS | (SAME_USER if os.geteuid() != 0 else set())) - VARIES,
    }[tier]
    say(missing == expected, "missing names what is missing", f"{sorted(missing ^ expected)}")
    if tier == "full":
        say("mount_namespace" not in missing, "the full tier has its mounts")
    status, answer = post(
        "/v1/run", {"language": "python", "code": "print(1)", "min_isolation": "container"}
    )
    refused = status != 200 and "container" in json.dumps(answer)
    say(refused == (tier == "process"), "min_isolation container", f"{status} {str(answer)[:200]}")
    return set(isolation.get("missing", []))


def check_life(tier):
    """What every tier promises of a run."""
    cases = (
        ("while True: pass", {"wall_ms": 700, "cpu_ms": 60000}, "wall_timeout"),
        ("while True: pass", {"wall_ms": 60000, "cpu_ms": 1000}, "cpu_timeout"),
        ("import sys\nwhile True: sys.stdout.write('x' * 65536)", {"output_bytes": 100000},
         "output_limit"),
        ("import os\nos.abort()", {}, "signalled"),
        ("raise SystemExit(3)", {}, "exited"),
        ("import time\nwith open('big', 'wb') as f:\n while True: f.write(bytes(1 << 20));"
         " f.flush(); time.sleep(0.01)", {"disk_bytes": 16 << 20, "wall_ms": 20000}, "disk_limit"),
        ("x = []\nimport time\nwhile True: x.append(bytearray(8 << 20)); time.sleep(0.01)",
         {"memory_bytes": 64 << 20, "wall_ms": 20000}, "out_of_memory"),
    )
    for code, limits, outcome in cases:
        result = run_code(code, limits=limits)
        got = result.get("outcome")
        fine = got == outcome
        # Where rlimits hold memory back the program sees it by itself.
        if outcome == "out_of_memory" and got == "exited" and "MemoryError" in result["stderr"]:
            fine = True
        say(fine, f"outcome {outcome}", f"{got}: {result.get('detail')}")
    leave = (
        "import os, time\nfor i in range(3):\n if os.fork() == 0:\n  os.setsid()\n"
        "  if os.fork() == 0:\n   import signal\n   for n in range(1, 32):\n"
        "    try: signal.signal(n, signal.SIG_IGN)\n    except Exception: pass\n"
        "   os.execvp('sleep', ['sleep', '4711.25'])\n  os._exit(0)\n"
        "time.sleep(0.3)"
    )
    result = run_code(leave)
    left = judging.processes_named("4711.25")
    say(result.get("outcome") == "exited" and not left, "nothing outlives its run", f"{left}")
    result = run_code("open('/tmp/old','w'); open('old','w'); open('/output/old','w')")
    result = run_code("import os; print(os.listdir('.'), os.listdir(os.environ['TMPDIR']))")
    say("old" not in result.get("stdout", "old"), "a run finds nothing of the one before",
        result.get("stdout", ""))
    result = run_code(
        "open('out.txt','w').write(open('in/a.txt').read() * 2)",
        files=[{"path": "in/a.txt", "content": "abc"}], outputs=["*.txt"],
    )
    files = {f["path"]: f["content"] for f in result.get("files", [])}
    say(files.get("out.txt") == "abcabc", "files go in and come out", str(files))
    if tier == "full" and os.geteuid() == 0:
        return  # asks for more disk than root gets without loop devices
    status, answer = post("/execute", {"code": "print(1)", "language": "python", "tier": "free"})
    say(status == 200 and answer.get("stdout") == "1\n", "the drop-in route", str(answer)[:200])


def check_many():
    results = []

    def one(i):
        results.append(run_code(f"import time; time.sleep(0.2); print({i})").get("stdout"))

    threads = [threading.Thread(target=one, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    say(sorted(results) == sorted(f"{i}\n" for i in range(8)), "eight at once", str(results))


def check_two_guests():
    """Two guests of one user at the same time: neither finds the other's files."""
    code = f"open('mine', 'w').write('{CANARY}'); import time; time.sleep(3)"
    first = threading.Thread(target=run_code, args=(code,))
    first.start()
    time.sleep(1)
    look = (
        "import os\nfound = []\n"
        "for top in ('/tmp', '/workspace', '/output', '/build', '/dev/shm', '/run', '/var/tmp'):\n"
        " for folder, _, names in os.walk(top):\n"
        "  found += [folder + '/' + n for n in names if n == 'mine']\n"
        f"print([f for f in found if '{CANARY}' in open(f).read()])"
    )
    result = run_code(look)
    first.join()
    return result.get("outcome") == "exited" and result.get("stdout") == "[]\n", result


def run_probes(tier, only, missing):
    with hostside.HostSide() as host:
        context = judging.Context(host, airlock.Caller())
        for name, probes in catalogue.groups().items():
            for probe in suite.chosen(probes, only):
                if probe.kind in LEFT_OUT:
                    continue
                # A pod without a network has no address but that of every loopback.
                if "{address}" in probe.call and host.values["address"] == "127.0.0.1":
                    continue
                try:
                    said = suite.KINDS[probe.kind][0](context, probe)
                except OSError as error:
                    said = judging.Said("FAILED", str(error))
                named = NAMED_BY[tier].get(probe.name(), "")
                hangs = airlock.DID_NOT_END in said.why  # whatever is missing
                if not said.contained and named in missing and not hangs:
                    said = judging.Said("CONTAINED", f"not here; missing names {named}: {said.why}")
                say(said.contained, f"{probe.id} {probe.threat} [{probe.name()}]",
                    f"{said.word} {said.why}"[:300])


def check_refusal():
    done = airlock.run("/usr/bin/true")
    detail = (done.result or {}).get("detail") or ""
    say(
        done.outcome == "setup_failed" and "--allow-tier process" in detail,
        "airlock run is refused and says how to allow it",
        done.describe(),
    )
    service = Service([])
    try:
        ready = service.wait_until_ready()
        said = "--allow-tier process" in service.log()
        say(not ready and said, "airlock serve refuses and says how to allow it", service.log())
    finally:
        service.end()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("tier", choices=("full", "nested-gvisor", "process", "refused"))
    parser.add_argument("--probes", action="store_true")
    parser.add_argument("--short", action="store_true", help="isolation and attacks only")
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    os.chdir("/tmp")
    pathlib.Path("/tmp/pod-canary").write_text(CANARY)
    if options.tier == "refused":
        check_refusal()
        print("END", flush=True)
        return
    allow = ["--allow-tier", "process"] if options.tier == "process" else []
    if allow:
        os.environ["AIRLOCK_ALLOW_TIER"] = "process"
    done = airlock.run("/usr/bin/id")
    say(done.outcome == "exited" and done.result["isolation"]["tier"] == options.tier,
        "airlock run works", done.describe())
    missing = set((done.result or {}).get("isolation", {}).get("missing", []))
    came = serve_pod()
    check_pod_servers(came)
    if not options.only:
        os.makedirs("/tmp/state", exist_ok=True)
        pathlib.Path("/tmp/state/api-key").write_text(SECRET)
        service = Service([*allow, "--state-dir", "/tmp/state"])
        try:
            ready = service.wait_until_ready()
            say(ready, "airlock serve gets ready", service.log())
            if ready:
                missing = check_isolation(options.tier)
                if not options.short:
                    check_life(options.tier)
                    check_many()
                good, result = check_two_guests()
                named = options.tier == "process" and {"landlock", "uid_range"} <= missing
                say(
                    good or named,
                    "two guests at once do not see each other's files, or the result says so",
                    str(result)[:300],
                )
                attack(service, options.tier, came, missing)
        finally:
            code = service.end()
        say(code == 0, "airlock serve ends", f"{code}; {service.log()[-300:]}")
        names = ("airlock-init", "airlock-nest", "airlock-jail", "airlock-daemon")
        left = [name for name in names if judging.processes_named(name)]
        say(not left, "nothing is left of the service", str(left))
        for good, name, text in () if options.short else tiers_killed.results():
            say(good, name, text)
    if options.probes:
        run_probes(options.tier, options.only, missing)
    print("END", flush=True)


if __name__ == "__main__":
    main()
