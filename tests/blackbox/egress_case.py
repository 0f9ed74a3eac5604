"""What the suites of the egress gateway have in common: an internet, a service, and a library.

The library is for programs in the sandbox: they do everything by hand, so that nothing is made
right for them.
"""

import json
import pathlib
import shutil
import tempfile
import unittest

from case import SLOW
from service import Service
from support import internet

ZONE = {
    "web.test": [internet.WEB], "other.test": [internet.OTHER_WEB],
    "blocked.test": [internet.WEB], "forbidden.example": [internet.WEB],
    "six.test": [internet.WEB_V6], "git.test": [internet.WEB], "cdn.allowed.test": [internet.WEB],
    "rebind.test": [[internet.WEB], ["127.0.0.1"]],
    "both.test": ["10.99.0.1", internet.WEB],
    "own.test": [internet.DAEMON_V4], "own6.test": [internet.DAEMON_V6],
    "loop.test": ["127.0.0.1"], "zero.test": ["0.0.0.0"], "loop6.test": ["::1"],
    "mapped.test": ["::ffff:7f00:1"], "silent.test": ["93.184.216.99"],
    **{f"private{i}.test": [a] for i, a in enumerate((*internet.PRIVATE, *internet.PRIVATE_V6))},
}
PRIVATE_NAMES = [name for name in ZONE if name.startswith("private")]
ALLOW = (".test", "tcp://git.test:22", "tcp://web.test:9000", "web.test:8080", "own.test:8080")

# What programs in the sandbox use: everything by hand, so that nothing is made right by a library.
LIBRARY = r"""
import json, socket, ssl, sys, time
def open_proxy():
    return socket.create_connection(('127.0.0.1', 3128), timeout=20)
def read_all(s):
    data = b''
    try:
        while piece := s.recv(65536):
            data += piece
    except (ConnectionResetError, TimeoutError):
        pass
    return data
def read_head(s):
    data = b''
    while b'\r\n\r\n' not in data:
        piece = s.recv(1)
        if not piece:
            break
        data += piece
    return data.decode('latin1')
def status(text):
    words = text.split(None, 2)
    return ' '.join([words[1], words[2].split('\r\n')[0]]) if len(words) > 2 else 'nothing'
def raw(text):
    s = open_proxy()
    s.sendall(text if isinstance(text, bytes) else text.encode())
    s.shutdown(socket.SHUT_WR)
    return status(read_all(s).decode('latin1'))
def connect(to):
    s = open_proxy()
    s.sendall(f'CONNECT {to} HTTP/1.1\r\nHost: {to}\r\n\r\n'.encode())
    return s, status(read_head(s))
def plain(url, host=None):
    host = host or url.split('/')[2]
    return raw(f'GET {url} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n')
def socks(name, port):
    s = open_proxy()
    s.sendall(b'\x05\x01\x00')
    assert s.recv(2) == b'\x05\x00'
    s.sendall(b'\x05\x01\x00\x03' + bytes([len(name)]) + name.encode() + port.to_bytes(2, 'big'))
    return s, s.recv(10)[1]
def tls(to, name):
    s, said = connect(to)
    if not said.startswith('200'):
        return said
    context = ssl.create_default_context(cafile='ca.pem')
    context.check_hostname = False
    try:
        with context.wrap_socket(s, server_hostname=name) as wrapped:
            wrapped.sendall(b'GET /hello HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')
            return status(read_all(wrapped).decode())
    except OSError as error:
        return type(error).__name__ + ' ' + str(getattr(error, 'reason', ''))
def hello(name):
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    outgoing = ssl.MemoryBIO()
    try:
        context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname=name).do_handshake()
    except ssl.SSLWantReadError:
        pass
    return outgoing.read()
found = {}
"""
TAIL = "\nprint(json.dumps(found))\n"
WORLD = {}


def set_up_module():
    folder = pathlib.Path(tempfile.mkdtemp(prefix="egress-test-"))
    unittest.addModuleCleanup(shutil.rmtree, folder)
    net = internet.Internet(folder, ZONE)
    net.__enter__()
    unittest.addModuleCleanup(net.__exit__)
    words = ["--dns-servers", internet.DNS, "--egress-block", "blocked.test",
             "--egress-connections", "64"]
    for entry in ALLOW:
        words += ["--egress-allow", entry]
    service = Service(*words, "--listen", "http://127.0.0.1:0", "--listen",
                      f"http://{internet.DAEMON_V4}:8080", env={"AIRLOCK_API_KEY": "k" * 32})
    service.__enter__()
    unittest.addModuleCleanup(service.stop)
    WORLD.update(folder=folder, net=net, service=service)


class EgressCase(unittest.TestCase):
    def setUp(self):
        self.net, self.service = WORLD["net"], WORLD["service"]
        self.net.take_seen()
        self.ca = (WORLD["folder"] / "ca.pem").read_text()

    def ask(self, body):
        return self.service.ask_json("POST", "/v1/run", body,
                                     {"Authorization": "Bearer " + "k" * 32})

    def run_inside(self, code, network=None, **more):
        body = {"network": network or {"mode": "gateway"},
                "limits": {"wall_ms": int(60_000 * SLOW), "memory_bytes": 1 << 30,
                           "cpu_ms": 60_000, **more.pop("limits", {})},
                "files": [{"path": "ca.pem", "content": self.ca}], **more}
        if code is not None:
            body.update(language="python", code=code)
        status, result = self.ask(body)
        self.assertEqual(status, 200, result)
        return result

    def attempts(self, code, **more):
        """What a program found out, and the whole result."""
        result = self.run_inside(LIBRARY + code + TAIL, **more)
        self.assertEqual((result["outcome"], result["exit_code"]), ("exited", 0), result)
        return json.loads(result["stdout"]), result

    def assert_denied(self, result, what, rule):
        rules = {(d["what"], d["rule"]) for d in result["denied"]}
        self.assertIn((what, "egress: " + rule), rules)
