"""An sshd of one's own on loopback, that knows one key: `with SshServer(folder) as server:`.

As root, because sshd becomes the user who asks. Its user is that of the tests.
"""

import getpass
import os
import pathlib
import socket
import subprocess
import time

SSHD = "/usr/sbin/sshd"
START_SECONDS = 20


def make_key(path):
    """A key without a passphrase, and its public line."""
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(path)],
                   check=True)
    return pathlib.Path(f"{path}.pub").read_text().strip()


class SshServer:
    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.user = getpass.getuser()
        self.key = self.folder / "client_key"

    def __enter__(self):
        self.folder.mkdir()
        self.host_key = make_key(self.folder / "host_key")
        (self.folder / "authorized_keys").write_text(make_key(self.key) + "\n")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        (self.folder / "sshd_config").write_text(f"""\
ListenAddress 127.0.0.1:{self.port}
HostKey {self.folder}/host_key
AuthorizedKeysFile {self.folder}/authorized_keys
AllowUsers {self.user}
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
""")
        os.makedirs("/run/sshd", 0o755, exist_ok=True)  # where sshd locks itself up
        with open(self.folder / "sshd.log", "wb") as log:
            self.process = subprocess.Popen([SSHD, "-D", "-e", "-f",
                                             str(self.folder / "sshd_config")],
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            self._wait()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _wait(self):
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=5) as greeted:
                    if greeted.recv(4) == b"SSH-":
                        return
            except OSError:
                time.sleep(0.05)
        raise AssertionError("no sshd: " + (self.folder / "sshd.log").read_text())

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(10)

    def known_host(self, name, key=None):
        """Its line of a known_hosts file."""
        return f"[{name}]:{self.port} {key or self.host_key}\n"

    def url(self, name, path, user=None):
        return f"ssh://{user or self.user}@{name}:{self.port}{path}"

    def address(self):
        return f"127.0.0.1:{self.port}"
