"""What can go wrong around a service with jobs, made on purpose and taken back: a file system that
is full or takes nothing any more, a database that somebody else has locked, git servers that hang
or never stop, an S3 server that is gone, a clock that is set back. All of it is real, and each
says how a test can see for itself that the fault is there."""

import contextlib
import os
import pathlib
import signal
import socket
import sqlite3
import subprocess
import threading
import time

from support import airlock, job_servers

TURNED_CLOCK = airlock.binary().parent.parent / "tests/libturned-clock.so"
CLONE_CHUNK = 64 * 1024


def run(*words):
    subprocess.run([str(word) for word in words], check=True, capture_output=True)


def stand_still(pid, seconds=10):
    """Until none of its threads goes on: the signal is with one of them at first."""
    os.kill(pid, signal.SIGSTOP)
    deadline = time.monotonic() + seconds * airlock.SLOW
    while any(path.read_text().rpartition(")")[2].split()[0] != "T"
              for path in pathlib.Path(f"/proc/{pid}/task").glob("*/stat")):
        if time.monotonic() > deadline:
            raise AssertionError(f"{pid} goes on")
        time.sleep(0.01)


class SmallDisk:
    """`with SmallDisk(folder) as disk:`; an ext4 of some MiB in a file, mounted at `disk.path`."""

    def __init__(self, folder, mebibytes):
        self.image = pathlib.Path(folder) / "disk.img"
        self.path = pathlib.Path(folder) / "disk"
        self.ballast = self.path / "ballast"
        self.mebibytes = mebibytes

    def __enter__(self):
        with open(self.image, "wb") as image:
            image.truncate(self.mebibytes << 20)
        run("mkfs.ext4", "-q", "-b", "4096", "-m", "0", "-F", self.image)
        self.path.mkdir()
        run("mount", "-o", "loop", self.image, self.path)
        self.path.chmod(0o755)
        return self

    def __exit__(self, *_):
        with contextlib.suppress(FileNotFoundError):
            self.ballast.unlink()
        # Lazily: a workspace that a failed test has left may be on it.
        run("umount", "-l", self.path)

    def free_bytes(self):
        status = os.statvfs(self.path)
        return status.f_bavail * status.f_frsize

    def fill(self, leave=0):
        """Another process of the host uses up all but `leave` bytes, to the last block."""
        with open(self.ballast, "ab") as ballast:
            size = (self.free_bytes() - leave) & ~4095
            while size > 0:
                try:
                    os.posix_fallocate(ballast.fileno(), ballast.tell(), size)
                    ballast.seek(0, os.SEEK_END)
                    size = (self.free_bytes() - leave) & ~4095
                except OSError:
                    size = size // 2 & ~4095

    def free(self):
        self.ballast.unlink()

    def takes_a_byte(self):
        """The control: whether anybody can write here."""
        try:
            fd = os.open(self.path / "control", os.O_WRONLY | os.O_CREAT, 0o600)
        except OSError:
            return False
        try:
            os.write(fd, b"x" * 8192)
            return True
        except OSError:
            return False
        finally:
            os.close(fd)
            (self.path / "control").unlink()


@contextlib.contextmanager
def read_only(folder, *open_files):
    """Below `folder` nothing can be made or opened to be written, and nothing be written to
    `open_files`, which are open already. A file system that becomes read-only by an error is put
    together of these, because the kernel refuses to remount one while files are open to be
    written: the attribute of immutable files, and a read-only mount on top for every name."""
    with contextlib.ExitStack() as undo:
        run("chattr", "+i", *open_files)
        undo.callback(run, "chattr", "-i", *open_files)
        run("mount", "--bind", folder, folder)
        undo.callback(run, "umount", "-l", folder)
        run("mount", "-o", "remount,bind,ro", folder)
        yield


@contextlib.contextmanager
def locked_database(path):
    """Another process, but for its pid, has the database for itself."""
    connection = sqlite3.connect(path, timeout=30, isolation_level=None)
    try:
        connection.execute("BEGIN EXCLUSIVE")
        yield connection
    finally:
        connection.execute("ROLLBACK")
        connection.close()


def is_locked(path):
    """The control: whether somebody else could write now."""
    connection = sqlite3.connect(path, timeout=0, isolation_level=None)
    try:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("ROLLBACK")
        return False
    except sqlite3.OperationalError as error:
        return "locked" in str(error)
    finally:
        connection.close()


class FaultyGit(job_servers.GitHandler):
    """A git server that does what the server's `fault` says: "silent" (no handshake of TLS),
    "hang" (no answer), "endless" (references without end), "endless_pack" (progress without end
    where the pack should be)."""

    def handle(self):
        if self.server.fault == "silent":
            self.server.met.set()
            self.server.over.wait()
            return
        super().handle()

    def serve(self):
        fault = self.server.fault
        if fault == "hang":
            self.server.met.set()
            self.server.over.wait()
        elif fault == "endless" and self.command == "GET":
            self.pour("application/x-git-upload-pack-advertisement",
                      b"001e# service=git-upload-pack\n0000", self.references())
        elif fault == "endless_pack" and self.command == "POST" and b"fetch" in self.read_body():
            self.pour("application/x-git-upload-pack-result", b"000dpackfile\n",
                      self.progress())
        else:
            super().serve()

    def body(self):
        return self.read_body()

    def read_body(self):
        if not hasattr(self, "whole_body") or self.whole_body is None:
            self.whole_body = super().body()
        return self.whole_body

    def handle_one_request(self):
        self.whole_body = None
        super().handle_one_request()

    @staticmethod
    def references():
        number = 0
        while True:
            lines = b""
            while len(lines) < CLONE_CHUNK:
                line = f"{number:040x} refs/heads/branch-{number}\n".encode()
                lines += f"{len(line) + 4:04x}".encode() + line
                number += 1
            yield lines

    @staticmethod
    def progress():
        line = b"\2" + b"still counting, and counting, and counting\r"
        while True:
            yield (f"{len(line) + 4:04x}".encode() + line) * 1000

    def pour(self, content_type, head, pieces):
        self.send_response(200)
        self.send_header("Content-Type", content_type)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.close_connection = True
        self.chunk(head)
        for piece in pieces:
            if self.server.over.is_set():
                return
            self.chunk(piece)
            self.server.poured += len(piece)
            self.server.met.set()

    def chunk(self, data):
        self.wfile.write(b"%x\r\n" % len(data) + data + b"\r\n")


@contextlib.contextmanager
def git_fault(server, fault):
    """`server` of JobServers has it meanwhile; `server.met` is set once somebody has met it."""
    usual = server.RequestHandlerClass
    server.fault, server.poured = fault, 0
    server.met, server.over = threading.Event(), threading.Event()
    server.RequestHandlerClass = FaultyGit
    try:
        yield server
    finally:
        server.over.set()
        server.RequestHandlerClass = usual


def refuses_connections(port):
    """The control: nobody listens there."""
    with socket.socket() as one:
        one.settimeout(5)
        return one.connect_ex(("127.0.0.1", port)) != 0


class TurnedClock:
    """The wall clock of one service's daemon: this machine's time and an offset in seconds. The
    monotonic clock, and everybody else's, stay what they are."""

    def __init__(self, folder):
        assert TURNED_CLOCK.exists(), f"{TURNED_CLOCK} is not built"
        self.file = pathlib.Path(folder) / "clock"
        self.turn(0)

    def turn(self, offset):
        new = self.file.with_suffix(".new")
        new.write_text(f"{offset}\n")
        new.chmod(0o644)
        new.rename(self.file)

    def environment(self):
        return {"LD_PRELOAD": str(TURNED_CLOCK), "AIRLOCK_TURNED_CLOCK": str(self.file)}
