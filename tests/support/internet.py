"""An internet of our own: `with Internet(folder) as net:` and this process has nothing else.

The process that enters it moves to a network namespace of its own, with a veth to another one in
which the servers are: name servers, HTTP and HTTPS, an SSH greeting, an echo, UDP. Addresses there
are public ones, so that what Airlock checks are real checks; no packet leaves the two namespaces,
and nothing is left of them when their processes have ended. Before any thread is started; as root.
"""

import contextlib
import ctypes
import json
import pathlib
import subprocess
import sys
import threading
import time

CLONE_NEWNET = 0x40000000
DAEMON_V4, DAEMON_V6 = "93.184.216.1", "2606:2800:220::1"
DNS = "93.184.216.53"
WEB, OTHER_WEB, WEB_V6 = "93.184.216.34", "93.184.216.35", "2606:2800:220::34"
# Where a server answers, too, though no guest may get there.
PRIVATE = ("10.99.0.1", "192.168.77.1", "172.16.9.1", "100.64.0.9", "169.254.169.254",
           "198.18.0.9", "203.0.113.9", "168.63.129.16")
PRIVATE_V6 = ("fd00:ec2::254", "2001:db8::9", "64:ff9b::a63:1", "2002:a63:1::1")
SERVER = pathlib.Path(__file__).resolve().parent / "internet_servers.py"


def run(*words):
    subprocess.run([str(word) for word in words], check=True, stdout=subprocess.DEVNULL)


def make_certificates(folder, hosts):
    """ca.pem, server.pem and server.key in `folder`: of a server with those names."""
    def openssl(*words):
        subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)

    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "ca.key", "-out", "ca.pem",
            "-days", "2", "-subj", "/CN=Airlock test CA", "-addext",
            "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign")
    openssl("req", "-newkey", "rsa:2048", "-nodes", "-keyout", "server.key", "-out", "server.csr",
            "-subj", "/CN=web.test")
    (folder / "names").write_text("subjectAltName=" + ",".join(f"DNS:{name}" for name in hosts))
    openssl("x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key",
            "-CAcreateserial", "-days", "2", "-extfile", "names", "-out", "server.pem")


class Internet:
    def __init__(self, folder, zone):
        """`zone`: name -> list of addresses, or list of such lists, one for each time it is asked.
        What lies in `folder`/www is served by HTTP; certificates are made in `folder`."""
        self.folder = pathlib.Path(folder)
        self.zone = zone
        self.seen = []
        self.news = threading.Condition()

    def __enter__(self):
        (self.folder / "www").mkdir(exist_ok=True)
        make_certificates(self.folder, [name for name in self.zone if name.endswith(".test")])
        if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "unshare: a network namespace needs root")
        (self.folder / "zone.json").write_text(json.dumps(self.zone))
        self.servers = subprocess.Popen(
            ["unshare", "--net", sys.executable, str(SERVER), str(self.folder)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        try:
            self._connect()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _connect(self):
        assert self.servers.stdout.readline() == "here\n"
        pid = self.servers.pid
        run("ip", "link", "set", "lo", "up")
        run("ip", "link", "add", "out", "type", "veth", "peer", "name", "in", "netns", pid)
        inside = ("nsenter", "-t", pid, "-n", "ip")
        run("ip", "addr", "add", f"{DAEMON_V4}/24", "dev", "out")
        run("ip", "addr", "add", f"{DAEMON_V6}/64", "dev", "out", "nodad")
        run("ip", "link", "set", "out", "up")
        for address in (DNS, WEB, OTHER_WEB):
            run(*inside, "addr", "add", f"{address}/24", "dev", "in")
        run(*inside, "addr", "add", f"{WEB_V6}/64", "dev", "in", "nodad")
        run(*inside, "link", "set", "lo", "up")
        run(*inside, "link", "set", "in", "up")
        for address in (*PRIVATE, *PRIVATE_V6):
            run(*inside, "addr", "add", address, "dev", "lo")
        run("ip", "route", "add", "default", "via", WEB)
        run("ip", "-6", "route", "add", "default", "via", WEB_V6)
        self.servers.stdin.write("go\n")
        self.servers.stdin.flush()
        assert self.servers.stdout.readline() == "ready\n"
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.servers.stdout:
            with self.news:
                self.seen.append(json.loads(line))
                self.news.notify_all()

    def __exit__(self, *_):
        self.servers.kill()
        self.servers.wait()
        with contextlib.suppress(OSError):
            self.servers.stdin.close()

    def take_seen(self, wait_for=None, seconds=5):
        """What the servers saw since the last time, after what matches `wait_for` has come."""
        deadline = time.monotonic() + seconds
        with self.news:
            while wait_for and not any(wait_for(seen) for seen in self.seen):
                if not self.news.wait(max(0, deadline - time.monotonic())):
                    break
            if not wait_for:
                self.news.wait(0.1)
            seen, self.seen = self.seen, []
            return seen
