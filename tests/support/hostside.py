"""The host as a victim: secrets, listeners, kernel objects and a process, all of them ours.

Everything that a probe may try to reach is made here, outside of the sandbox, with a name that
nothing else has, and removed at the end.
"""

import contextlib
import os
import pathlib
import random
import shutil
import socket
import subprocess
import tempfile
import threading

from support import airlock

SECRET = "the-secret-of-the-host"
SANDBOX_MOUNTS = ("/proc", "/dev", "/tmp", "/usr", "/etc", "/workspace", "/input", "/output")


def _first(candidates, fallback=""):
    return next((c for c in candidates if c), fallback)


def _own_address():
    """An address of this machine that is not loopback, or loopback where there is none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("198.51.100.1", 9))
            return probe.getsockname()[0]
        except OSError:
            return "127.0.0.1"


def _host_user():
    ours = {"root", "nobody", "sandbox", "nogroup"}
    names = [line.split(":")[0] for line in open("/etc/passwd", encoding="utf8")]
    return _first((n for n in reversed(names) if n not in ours), "no-other-user")


def _host_mount():
    for line in open("/proc/self/mounts", encoding="utf8"):
        point = line.split()[1]
        if point != "/" and not point.startswith(SANDBOX_MOUNTS):
            return " " + point + " "
    return " /no/other/mount "


class HostSide:
    def __init__(self):
        self.values = {}
        self._stack = contextlib.ExitStack()
        self.tag = f"host-canary-{os.getpid()}-{random.randrange(10**6)}"

    def __enter__(self):
        with contextlib.ExitStack() as stack:
            self._files(stack)
            self._sockets(stack)
            self._victim(stack)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_):
        self._stack.close()

    def fill(self, words, **more):
        """Replaces {name} in each word by the value of this host."""
        return [word.format(**self.values, **more) for word in words]

    def _files(self, stack):
        top = pathlib.Path(tempfile.mkdtemp(prefix=self.tag))
        stack.callback(shutil.rmtree, top, ignore_errors=True)
        top.chmod(0o755)
        for place in (
            top,
            pathlib.Path("/var/tmp"),
            pathlib.Path("/dev/shm"),
            pathlib.Path("/run"),
        ):
            file = place / self.tag
            try:
                file.write_text(SECRET + "\n")
            except OSError:
                continue
            file.chmod(0o644)
            stack.callback(file.unlink, missing_ok=True)
        setuid = top / "setuid"
        shutil.copy(airlock.probe_binary("files"), setuid)
        setuid.chmod(0o4755)
        machine = pathlib.Path("/etc/machine-id")
        self.values.update(
            canary=str(top / self.tag),
            canary_dir=str(top),
            setuid=str(setuid),
            tag=self.tag,
            repository=str(airlock.ROOT),
            host_user=_host_user(),
            host_mount_arg=_host_mount(),
            hostname=socket.gethostname(),
            machine_id=_first(
                [machine.read_text().strip() if machine.exists() else ""], "no-machine-id"
            ),
            shared_file=_first(
                p
                for p in ("/usr/lib/os-release", "/usr/bin/env", "/usr/bin/python3")
                if os.path.exists(p)
            ),
        )

    def _serve(self, stack, made, answer):
        stack.callback(made.close)

        def loop():
            while True:
                try:
                    if made.type == socket.SOCK_STREAM:
                        peer, _ = made.accept()
                        with peer:
                            peer.settimeout(1)
                            peer.recv(64)
                            peer.sendall(b"airlock")
                    else:
                        data, peer = made.recvfrom(512)
                        if answer and peer:
                            made.sendto(data, peer)
                except TimeoutError:
                    continue
                except OSError:
                    if made.fileno() < 0:
                        return

        threading.Thread(target=loop, daemon=True).start()

    def _sockets(self, stack):
        tcp = socket.create_server(("0.0.0.0", 0))
        self._serve(stack, tcp, True)
        self.values.update(port=str(tcp.getsockname()[1]), address=_own_address(), port6="9")
        with contextlib.suppress(OSError):
            tcp6 = socket.create_server(("::1", 0), family=socket.AF_INET6)
            self._serve(stack, tcp6, True)
            self.values["port6"] = str(tcp6.getsockname()[1])
        for name in ("udp_port", "dns_port"):
            udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            udp.bind(("0.0.0.0", 0))
            self._serve(stack, udp, True)
            self.values[name] = str(udp.getsockname()[1])
        names = {
            "abstract": "@" + self.tag,
            "abstract_dgram": "@" + self.tag + "-d",
            "path_socket": self.values["canary_dir"] + "/socket",
        }
        for name, address in names.items():
            kind = socket.SOCK_DGRAM if name == "abstract_dgram" else socket.SOCK_STREAM
            made = socket.socket(socket.AF_UNIX, kind)
            made.bind(address.replace("@", "\0"))
            if kind == socket.SOCK_STREAM:
                made.listen()
            self._serve(stack, made, False)
        os.chmod(names["path_socket"], 0o777)
        self.values.update(names)

    def _victim(self, stack):
        key = random.randrange(1, 2**30)
        victim = subprocess.Popen(
            [airlock.probe_binary("ipc"), "hold", str(key), self.tag],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        stack.callback(victim.wait, 5)
        stack.callback(victim.stdin.close)
        victim.stdout.readline()
        self.values.update(victim=str(victim.pid), key=str(key))
