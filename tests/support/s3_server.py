"""A real S3 server for tests: a Ceph of one monitor, one OSD in memory, and its gateway.

Everything is on loopback with ports of its own and below one temporary folder, and is killed with
whoever started it. `request` speaks to it without any code of ours: it signs by itself.

The steps are those that Ceph's manual for a deployment by hand names. The gateway asks the monitor
for a secure connection whatever the configuration says, so cephx cannot be left out.
"""

import datetime
import hashlib
import hmac
import os
import pathlib
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request

ACCESS_KEY, SECRET_KEY = "TESTKEY", "TESTSECRET"
OTHER_ACCESS_KEY, OTHER_SECRET_KEY = "OTHERKEY", "OTHERSECRET"
START_SECONDS_MAX = 120
REGION = "us-east-1"
FSID = "11111111-2222-3333-4444-555555555555"
OSD_UUID = "22222222-2222-3333-4444-555555555555"

CONFIGURATION = """[global]
fsid = {fsid}
mon host = [v2:127.0.0.1:{mon_v2},v1:127.0.0.1:{mon_v1}]
auth cluster required = cephx
auth service required = cephx
auth client required = cephx
keyring = {folder}/keyring
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 8
osd pool default pgp num = 8
mon warn on pool no redundancy = false
mon allow pool size one = true
mon max pg per osd = 1000
osd crush chooseleaf type = 0
public addr = 127.0.0.1
run dir = {folder}
admin socket = {folder}/$name.$pid.asok
log file = {folder}/log/$name.log
pid file =
ms bind ipv6 = false
[mon.a]
mon data = {folder}/mon
mon initial members = a
[osd.0]
osd data = {folder}/osd
osd objectstore = memstore
memstore device bytes = 2147483648
[client.rgw.a]
rgw frontends = beast endpoint=127.0.0.1:{port} tcp_nodelay=1
rgw dns name = localhost
rgw crypt require ssl = false
"""


def free_ports(count):
    """Ports that nobody listened on a moment ago."""
    sockets = [socket.socket() for _ in range(count)]
    for each in sockets:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def signed_headers(method, host, path, query, body, now):
    """AWS Signature Version 4; written for the tests from its description."""
    stamp, payload = now.strftime("%Y%m%dT%H%M%SZ"), hashlib.sha256(body).hexdigest()
    scope = f"{stamp[:8]}/{REGION}/s3/aws4_request"
    canonical = "\n".join((
        method, path, query, f"host:{host}", f"x-amz-content-sha256:{payload}",
        f"x-amz-date:{stamp}", "", "host;x-amz-content-sha256;x-amz-date", payload))
    text = "\n".join(("AWS4-HMAC-SHA256", stamp, scope,
                      hashlib.sha256(canonical.encode()).hexdigest()))
    key = b"AWS4" + SECRET_KEY.encode()
    for part in (stamp[:8], REGION, "s3", "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    signature = hmac.new(key, text.encode(), "sha256").hexdigest()
    return {"x-amz-date": stamp, "x-amz-content-sha256": payload,
            "Authorization": f"AWS4-HMAC-SHA256 Credential={ACCESS_KEY}/{scope}, SignedHeaders="
                             f"host;x-amz-content-sha256;x-amz-date, Signature={signature}"}


class S3Server:
    """Started by `with`, or by start() and stop(). With `compresses` zeros take no room."""

    def __init__(self, compresses=False):
        self.compresses = compresses
        self.port, self.mon_v1, self.mon_v2 = free_ports(3)
        self.url = f"http://127.0.0.1:{self.port}"
        self.processes = {}
        self.folder = None

    def __enter__(self):
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_):
        self.stop()

    def _run(self, *command):
        done = subprocess.run([str(word) for word in command], cwd=self.folder, text=True,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=START_SECONDS_MAX, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"{' '.join(map(str, command))}: {done.stdout[-2000:]}")

    def _run_until_it_works(self, *command):
        """What the monitor was told before takes it a moment to know."""
        deadline = time.monotonic() + START_SECONDS_MAX
        while True:
            try:
                return self._run(*command)
            except RuntimeError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.2)

    def _daemon(self, name, *command):
        # Dies with us, however we die.
        with open(self.folder / "log" / f"{name}.out", "ab") as output:
            self.processes[name] = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", *map(str, command), "-f", "-c", "ceph.conf"],
                cwd=self.folder, stdin=subprocess.DEVNULL, stdout=output, stderr=output)

    def _end(self, name):
        process = self.processes.pop(name, None)
        if process is not None:
            process.kill()
            process.wait()

    def start(self):
        # A path of an admin socket has 107 bytes at most.
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="s3-", dir="/tmp"))
        for name in ("mon", "osd", "log"):
            (self.folder / name).mkdir()
        (self.folder / "ceph.conf").write_text(CONFIGURATION.format(
            fsid=FSID, folder=self.folder, port=self.port, mon_v1=self.mon_v1,
            mon_v2=self.mon_v2), encoding="utf8")
        keys = ("ceph-authtool", "keyring", "--gen-key")
        self._run("ceph-authtool", "keyring", "--create-keyring", "--gen-key", "-n", "mon.",
                  "--cap", "mon", "allow *")
        self._run(*keys, "-n", "client.admin", "--cap", "mon", "allow *", "--cap", "osd",
                  "allow *", "--cap", "mgr", "allow *")
        self._run(*keys, "-n", "client.rgw.a", "--cap", "mon", "allow *", "--cap", "osd",
                  "allow *")
        self._run(*keys, "-n", "osd.0", "--cap", "mon", "allow profile osd", "--cap", "osd",
                  "allow *")
        self._run("monmaptool", "--create", "--addv", "a",
                  f"[v2:127.0.0.1:{self.mon_v2},v1:127.0.0.1:{self.mon_v1}]", "--fsid", FSID,
                  "monmap")
        self._run("ceph-mon", "-c", "ceph.conf", "-i", "a", "--mkfs", "--monmap", "monmap",
                  "--keyring", "keyring")
        self._daemon("mon", "ceph-mon", "-i", "a")
        ceph = ("ceph", "-c", "ceph.conf")
        self._run(*ceph, "osd", "new", OSD_UUID, "0")
        self._run(*ceph, "auth", "import", "-i", "keyring")
        self._run("ceph-osd", "-c", "ceph.conf", "-i", "0", "--mkfs", "--osd-uuid", OSD_UUID)
        self._daemon("osd", "ceph-osd", "-i", "0")
        self._run_until_it_works(*ceph, "osd", "crush", "set", "osd.0", "1.0", "root=default",
                                 "host=h")
        self.start_gateway()
        admin = ("radosgw-admin", "-c", "ceph.conf", "-n", "client.rgw.a")
        for uid, key, secret in (("test", ACCESS_KEY, SECRET_KEY),
                                 ("other", OTHER_ACCESS_KEY, OTHER_SECRET_KEY)):
            self._run(*admin, "user", "create", f"--uid={uid}", f"--display-name={uid}",
                      f"--access-key={key}", f"--secret-key={secret}")
        if self.compresses:
            self._run(*admin, "zone", "placement", "modify", "--rgw-zone", "default",
                      "--placement-id", "default-placement", "--compression", "zlib")
            self.kill_gateway()
            self.start_gateway()

    def start_gateway(self):
        self._daemon("gateway", "radosgw", "-n", "client.rgw.a")
        deadline = time.monotonic() + START_SECONDS_MAX
        while True:
            try:
                urllib.request.urlopen(self.url, timeout=10).close()
                return
            except (OSError, urllib.error.URLError) as problem:
                if time.monotonic() > deadline or self.processes["gateway"].poll() is not None:
                    raise RuntimeError(f"the S3 server did not start: {problem}") from problem
                time.sleep(0.1)

    def kill_gateway(self):
        self._end("gateway")

    def stop(self):
        for name in list(self.processes)[::-1]:
            self._end(name)
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)

    def environment(self, **changes):
        """Of a program that is to use this server."""
        clean = {name: value for name, value in os.environ.items()
                 if not name.startswith(("S3_", "AWS_")) and not name.lower().endswith("_proxy")}
        return clean | {"S3_ENDPOINT": self.url, "S3_ACCESS_KEY": ACCESS_KEY,
                        "S3_SECRET_KEY": SECRET_KEY} | changes

    def request(self, method, path, query="", body=b""):
        """(status, body) of a signed request; `path` begins with "/" and is not encoded."""
        encoded = urllib.parse.quote(path, safe="/-._~")
        host = f"127.0.0.1:{self.port}"
        now = datetime.datetime.now(datetime.timezone.utc)
        asked = urllib.request.Request(
            f"{self.url}{encoded}" + (f"?{query}" if query else ""), data=body or None,
            method=method, headers=signed_headers(method, host, encoded, query, body, now))
        try:
            with urllib.request.urlopen(asked, timeout=60) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as refused:
            return refused.code, refused.read()

    def make_bucket(self, name):
        status, body = self.request("PUT", f"/{name}")
        if status != 200:
            raise RuntimeError(f"the bucket {name} could not be made: {status} {body[:300]}")
