#!/usr/bin/env python3
"""The way out of a sandbox: what may go through the egress gateway, and every attempt to get past.

    tests/blackbox/egress_test.py [CLASS.TEST]...

Everything runs in network namespaces of the test (support/internet.py), with public addresses in
them. Each attempt that is refused has a control: the same, allowed, succeeds; so what refused it
was the gateway. What a server must not see is looked for at the server.
"""

import json
import os
import pathlib
import resource
import subprocess
import sys
import time
import unittest

import case
import egress_case
from case import SLOW
from egress_case import LIBRARY, PRIVATE_NAMES, TAIL, WORLD, ZONE, EgressCase
from service import Service
from support import airlock, internet

# Connections that a daemon has descriptors for.
GATEWAY_SHARE = resource.getrlimit(resource.RLIMIT_NOFILE)[1] // 16


def memory_peak_kib(pid):
    lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1])


def setUpModule():
    egress_case.set_up_module()


class Names(EgressCase):
    def test_by_list_port_and_block(self):
        found, result = self.attempts("""
for url in ('http://web.test/hello', 'http://cdn.allowed.test/hello', 'http://web.test:8080/hello',
            'http://forbidden.example/hello', 'http://blocked.test/hello',
            'http://other.test:8080/hello', 'http://six.test/hello', 'http://nowhere.test/'):
    found[url] = plain(url)
for to in ('web.test:443', 'web.test:22', 'git.test:22', 'forbidden.example:443', 'web.test:9999'):
    found[to] = connect(to)[1]
for name, port in (('web.test', 443), ('forbidden.example', 443), ('web.test', 22)):
    found['socks ' + name + str(port)] = socks(name, port)[1]
""")
        refused = "403 not in the allow-list"
        self.assertEqual(found, {
            "http://web.test/hello": "200 OK", "http://cdn.allowed.test/hello": "200 OK",
            "http://web.test:8080/hello": "200 OK", "http://six.test/hello": "200 OK",
            "http://forbidden.example/hello": refused,
            "http://blocked.test/hello": "403 blocked by the operator",
            "http://other.test:8080/hello": refused + " at this port",
            "http://nowhere.test/": "502 the name does not exist",
            "web.test:443": "200 Connection established", "web.test:22": refused + " at this port",
            "git.test:22": "200 Connection established", "forbidden.example:443": refused,
            "web.test:9999": refused + " at this port",
            "socks web.test443": 0, "socks forbidden.example443": 2, "socks web.test22": 2,
        })
        self.assert_denied(result, "connect forbidden.example:443", "not in the allow-list")
        self.assertEqual(result["isolation"]["network"], "gateway")
        lines = {(e["host"], e["port"], e["allowed"]): e for e in result["egress"]}
        self.assertEqual(lines["forbidden.example", 443, False]["connections"], 2)
        self.assertGreater(lines["web.test", 80, True]["bytes_in"], 6)
        # What is not allowed is not even asked for.
        asked = {seen["dns"] for seen in self.net.take_seen() if "dns" in seen}
        self.assertIn("web.test", asked)
        self.assertNotIn("forbidden.example", asked)
        self.assertNotIn("blocked.test", asked)

    def test_the_request_narrows_what_the_operator_allows(self):
        found, _ = self.attempts("""
for url in ('http://web.test/hello', 'http://other.test/hello'):
    found[url] = plain(url)
""", network={"mode": "gateway", "allow": ["other.test"]})
        self.assertEqual(found["http://web.test/hello"], "403 not in the allow-list")
        self.assertEqual(found["http://other.test/hello"], "200 OK")
        for entry in "forbidden.example", "10.0.0.1:80":
            status, answer = self.ask({"argv": ["true"],
                                       "network": {"mode": "gateway", "allow": [entry]}})
            self.assertEqual((status // 100, answer["error"]["field"]), (4, "network.allow"))
            self.assertIn(entry, answer["error"]["message"])

    def test_no_gateway_without_being_asked_for(self):
        result = self.run_inside(LIBRARY + "open_proxy()", network={"mode": "none"})
        self.assertIn("ConnectionRefusedError", result["stderr"])
        self.assertNotIn("egress", result)
        self.assertEqual(result["isolation"]["network"], "none")


class Addresses(EgressCase):
    def test_no_name_leads_to_an_address_that_is_no_public_one(self):
        names = [*PRIVATE_NAMES, "own.test", "own6.test", "loop.test", "zero.test", "loop6.test",
                 "mapped.test"]
        found, result = self.attempts(f"""
for name in {names!r}:
    found[name] = [plain(f'http://{{name}}/hello'), connect(name + ':443')[1]]
found['daemon'] = plain('http://own.test:8080/health')
found['both'] = plain('http://both.test/hello')
""")
        self.assertEqual(found.pop("both"), "200 OK")  # at its public address
        for name, answers in found.items():
            for answer in answers if isinstance(answers, list) else [answers]:
                self.assertRegex(answer, "^403 .*(address|6to4|NAT)", name)
        seen = self.net.take_seen()
        self.assertEqual({s["connected"] for s in seen if "connected" in s}, {internet.WEB})
        self.assertIn("169.254.169.254", ZONE["private4.test"])
        self.assert_denied(result, "connect private4.test:80", "metadata address of a cloud")
        self.assert_denied(result, "connect own.test:8080", "address of this machine itself")

    def test_the_operator_opens_exactly_one(self):
        with Service("--dns-servers", internet.DNS, "--egress-allow", "private0.test",
                     "--allowed-private-destinations", "10.99.0.1:80") as service:
            WORLD["service"], kept = service, WORLD["service"]
            self.addCleanup(WORLD.update, service=kept)
            self.service = service
            found, _ = self.attempts("""
for url in ('http://private0.test/hello', 'http://10.99.0.1/hello', 'http://10.99.0.1:8080/hello',
            'http://192.168.77.1/hello'):
    found[url] = plain(url)
found['tls'] = connect('private0.test:443')[1]
""")
        self.assertEqual(found, {
            "http://private0.test/hello": "200 OK", "http://10.99.0.1/hello": "200 OK",
            "http://10.99.0.1:8080/hello": "403 an address, not a name",
            "http://192.168.77.1/hello": "403 an address, not a name",
            "tls": "403 private address"})

    def test_literals_in_every_spelling(self):
        found, _ = self.attempts(f"""
for to in ('{internet.WEB}:443', '127.0.0.1:3128', '[::1]:80', '[::ffff:127.0.0.1]:80', '127.1:80',
           '2130706433:80', '0x7f000001:80', '[fe80::1%lo]:80', '169.254.169.254:80',
           '127.0.0.1:{self.service.port}'):
    found[to] = connect(to)[1]
    found['http ' + to] = plain(f'http://{{to}}/')
s = open_proxy()
s.sendall(b'\\x05\\x01\\x00')
s.recv(2)
s.sendall(b'\\x05\\x01\\x00\\x01' + socket.inet_aton('{internet.WEB}') + b'\\x00\\x50')
found['socks'] = s.recv(10)[1]
found['control'] = connect('web.test:443')[1]
""")
        self.assertEqual(found.pop("control"), "200 Connection established")
        self.assertEqual(found.pop("socks"), 2)
        for to, answer in found.items():
            self.assertRegex(answer, "^40[03] ", to)
        self.assertEqual({s["connected"] for s in self.net.take_seen() if "connected" in s},
                         {internet.WEB})

    def test_a_name_that_changes_where_it_leads(self):
        found, _ = self.attempts("""
found = [plain('http://rebind.test/hello') for _ in range(6)]
""")
        # The name servers say in turns a public address and the loopback one.
        self.assertEqual(sorted(set(found)), ["200 OK", "403 loopback address"])
        self.assertEqual(found.count("200 OK"), 3)


class OtherWays(EgressCase):
    def test_nothing_leaves_but_through_the_gateway(self):
        attempt = f"""
import socket
def trial(name, function):
    try:
        found[name] = str(function())
    except OSError as error:
        found[name] = type(error).__name__
def tcp(family, to):
    with socket.socket(family, socket.SOCK_STREAM) as s:
        s.settimeout(3)
        s.connect(to)
        return 'connected'
def udp(family, to):
    with socket.socket(family, socket.SOCK_DGRAM) as s:
        s.settimeout(3)
        s.sendto(b'out', to)
        return s.recv(100)
def ping(family, protocol, to):
    with socket.socket(family, socket.SOCK_DGRAM, protocol) as s:
        s.settimeout(3)
        s.connect((to, 0))
        s.send(b'\\x08' + b'\\0' * 7)
        return s.recv(100)
trial('tcp', lambda: tcp(socket.AF_INET, ('{internet.WEB}', 80)))
trial('tcp6', lambda: tcp(socket.AF_INET6, ('{internet.WEB_V6}', 80)))
trial('udp', lambda: udp(socket.AF_INET, ('{internet.WEB}', 9999)))
trial('dns', lambda: udp(socket.AF_INET, ('{internet.DNS}', 53)))
trial('names', lambda: socket.getaddrinfo('web.test', 80))
trial('icmp', lambda: ping(socket.AF_INET, socket.IPPROTO_ICMP, '{internet.WEB}'))
trial('raw', lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_TCP))
"""
        found, _ = self.attempts(attempt)
        for name, answer in found.items():
            self.assertRegex(answer, "Error|gaierror|error$", name)
        self.assertEqual([s for s in self.net.take_seen() if "dns" not in s or
                          s["dns"] != "web.test"], [])
        # Control: outside of a sandbox, in the same namespace as the daemon.
        done = subprocess.run([sys.executable, "-c", "import json\nfound = {}\n" + attempt + TAIL],
                              capture_output=True, text=True, check=True, timeout=60)
        control = json.loads(done.stdout)
        self.assertEqual((control["tcp"], control["tcp6"]), ("connected", "connected"))
        self.assertEqual(control["udp"], "b'out'")

    def test_the_listener_is_in_nobodys_hands_inside(self):
        found, _ = self.attempts("""
import os
found['fds'] = sorted(os.listdir('/proc/self/fd'))
try:
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    s.bind(('127.0.0.1', 3128))
    found['bind'] = 'bound'
except OSError as error:
    found['bind'] = error.strerror
found['control'] = plain('http://web.test/hello')
""")
        self.assertLessEqual(len(found["fds"]), 4)
        self.assertEqual(found["bind"], "Address already in use")
        self.assertEqual(found["control"], "200 OK")


class Tls(EgressCase):
    def test_the_name_of_tls_is_the_host(self):
        found, result = self.attempts("""
found['same'] = tls('web.test:443', 'web.test')
found['case'] = tls('Web.Test:443', 'wEb.tEst')
found['other'] = tls('web.test:443', 'other.test')
found['forbidden'] = tls('web.test:443', 'forbidden.example')
found['missing'] = tls('web.test:443', None)
def first(text, to='web.test:443', pause=0):
    s, said = connect(to)
    assert said.startswith('200'), said
    for i in range(0, len(text), 1 if pause else len(text)):
        s.sendall(text[i:i + (1 if pause else len(text))])
    s.settimeout(5)
    return s.recv(100).hex()[:14] if text[:1] == b'\\x16' else read_all(s).decode('latin1')[:20]
found['http'] = first(b'GET / HTTP/1.1\\r\\nHost: web.test\\r\\n\\r\\n')
found['ssh'] = first(b'SSH-2.0-x\\r\\n')
found['ssh allowed'] = first(b'SSH-2.0-x\\r\\n', 'git.test:22')
message = hello('web.test')[5:]
cut = b''.join(b'\\x16\\x03\\x01' + len(p).to_bytes(2, 'big') + p
               for p in (message[i:i + 16] for i in range(0, len(message), 16)))
found['cut'] = first(cut)[:4]
found['bytewise'] = first(hello('web.test'), pause=1)[:4]
found['twice'] = first(hello('web.test') + hello('other.test'))[:4]
s, code = socks('web.test', 443)
s.sendall(hello('other.test'))
found['socks other'] = s.recv(100).hex()[:14]
s, code = socks('web.test', 443)
s.sendall(hello('web.test'))
found['socks same'] = s.recv(100).hex()[:4]
""")
        self.assertEqual(found["same"], "200 OK")
        self.assertEqual(found["case"], "200 OK")
        for name in ("other", "forbidden"):
            self.assertRegex(found[name], "UNRECOGNIZED_NAME", name)
        self.assertRegex(found["missing"], "MISSING_EXTENSION|109|ALERT")
        self.assertEqual((found["http"], found["ssh"]), ("", ""))
        self.assertEqual(found["ssh allowed"], "SSH-2.0-test\r\nSSH-2.")
        for name in ("cut", "bytewise", "socks same"):
            self.assertIn(found[name], ("1603", "1503"), name)  # the server's own answer
        self.assertEqual(found["socks other"], "15030100020270")
        self.assert_denied(result, "connect web.test:443", "TLS for another host (other.test)")
        self.assert_denied(result, "connect web.test:443", "TLS without the name of a host")
        self.assert_denied(result, "connect web.test:443", "a tunnel that does not carry TLS")


class Http(EgressCase):
    def test_a_redirect_is_a_request_like_any_other(self):
        found, _ = self.attempts("""
import urllib.request, urllib.error
def fetch(url):
    try:
        return urllib.request.urlopen(url, timeout=10).read().decode()
    except urllib.error.HTTPError as error:
        return f'{error.code} {error.reason}'
found['forbidden'] = fetch('http://web.test/redirect/http://forbidden.example/hello')
found['metadata'] = fetch('http://web.test/redirect/http://169.254.169.254/latest/meta-data/')
found['allowed'] = fetch('http://web.test/redirect/http://other.test/hello')
""")
        self.assertEqual(found, {"forbidden": "403 not in the allow-list",
                                 "metadata": "403 an address, not a name", "allowed": "hello\n"})

    def test_no_request_hides_in_another(self):
        found, result = self.attempts(r"""
def kept_alive(*requests):
    s = open_proxy()
    s.sendall(b''.join(r.encode('latin1') for r in requests))
    s.shutdown(socket.SHUT_WR)
    import re
    return re.findall(r'HTTP/1\.1 (\d+)', read_all(s).decode('latin1'))
ok = 'GET http://web.test/hello HTTP/1.1\r\nHost: web.test\r\n\r\n'
bad = 'GET http://forbidden.example/secret HTTP/1.1\r\nHost: forbidden.example\r\n\r\n'
post = 'POST http://web.test/post HTTP/1.1\r\nHost: web.test\r\n'
found['kept'] = kept_alive(ok, bad, ok)
found['with body'] = kept_alive(post + 'Content-Length: 3\r\n\r\nabc', ok)
hidden = 'GET /secret HTTP/1.1\r\nHost: forbidden.example\r\n\r\n'
cases = {
  'cl te': post + f'Content-Length: {len(hidden)}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'
           + hidden,
  'te cl': post + f'Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n5c\r\n' + hidden,
  'two cl': post + f'Content-Length: 0\r\nContent-Length: {len(hidden)}\r\n\r\n' + hidden,
  'list cl': post + f'Content-Length: 0, {len(hidden)}\r\n\r\n' + hidden,
  'te space': post + 'Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n' + hidden,
  'te tab': post + 'Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n' + hidden,
  'te twice': post + 'Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n' + hidden,
  'fold': post + 'X: a\r\n Transfer-Encoding: chunked\r\n\r\n' + hidden,
  'bare cr': post + 'X: a\rTransfer-Encoding: chunked\r\n\r\n' + hidden,
  'bare lf': post + 'X: a\nTransfer-Encoding: chunked\r\n\r\n' + hidden,
  'two hosts': 'GET http://web.test/ HTTP/1.1\r\nHost: web.test\r\nHost: forbidden.example\r\n\r\n',
  'other host': 'GET http://web.test/ HTTP/1.1\r\nHost: forbidden.example\r\n\r\n',
  'origin form': 'GET /secret HTTP/1.1\r\nHost: web.test\r\n\r\n',
  'user': 'GET http://web.test@forbidden.example/ HTTP/1.1\r\nHost: web.test\r\n\r\n',
  'connect body': 'CONNECT web.test:443 HTTP/1.1\r\nContent-Length: 9\r\n\r\nabcdefghi',
  'take host': 'GET http://web.test/ HTTP/1.1\r\nHost: web.test\r\nConnection: Host\r\n\r\n',
}
for name, text in cases.items():
    found[name] = kept_alive(text)
found['chunk ext'] = kept_alive(post + 'Transfer-Encoding: chunked\r\n\r\n1;a=b\r\nx\r\n0\r\n\r\n')
""")
        self.assertEqual(found.pop("kept"), ["200", "403", "200"])
        self.assertEqual(found.pop("with body"), ["200", "200"])
        self.assertEqual(found.pop("chunk ext"), [])
        for name, answers in found.items():
            self.assertEqual(answers, ["400"], name)
        for seen in self.net.take_seen():
            self.assertNotIn("secret", seen.get("http", ""))
            self.assertNotEqual(seen.get("host"), "forbidden.example")
        self.assert_denied(result, "connect forbidden.example:80", "not in the allow-list")

    def test_what_is_for_the_proxy_does_not_go_on(self):
        self.attempts(r"""
found = raw('GET http://web.test/hello HTTP/1.1\r\nHost: web.test\r\n'
            'Proxy-Authorization: Basic x\r\nProxy-Connection: keep-alive\r\n'
            'Connection: close, X-Mine\r\nX-Mine: 1\r\nX-Kept: 2\r\n'
            'Upgrade: h2c\r\nTE: trailers\r\n\r\n')
""")
        seen = [s for s in self.net.take_seen(lambda s: "http" in s) if "http" in s]
        self.assertEqual(seen[-1]["headers"],
                         {"Host": "web.test", "X-Kept": "2", "Connection": "close"})


class Bounds(EgressCase):
    def test_ten_thousand_connections(self):
        """As many are served as the daemon has descriptors for, and no one else notices."""
        with Service("--dns-servers", internet.DNS, "--egress-allow", "tcp://web.test:9000",
                     "--egress-allow", "web.test", "--egress-connections", "12000") as service:
            self.service = service
            daemon = service.children()["daemon"]
            found, result = self.attempts("""
import collections, os
def some():
    opened = []
    for _ in range(900):
        opened.append(open_proxy())
        opened[-1].sendall(b'CONNECT web.test:9000 HTTP/1.1\\r\\n\\r\\n')
    said = []
    for s in opened:
        try:
            said.append(status(read_head(s)))
        except ConnectionResetError:
            said.append('nothing')
    return [s for s, word in zip(opened, said) if word[:3] == '200'], collections.Counter(said)
here, there = os.pipe(), os.pipe()
for _ in range(11):
    if os.fork():
        continue
    opened, said = some()
    os.write(here[1], (json.dumps(said) + '\\n').encode())
    os.read(there[0], 1)  # until all are open
    for s in opened:
        s.sendall(b'echo')
    os.write(here[1], b'%d\\n' % sum(s.recv(4) == b'echo' for s in opened))
    os._exit(0)
lines = os.fdopen(here[0])
found['said'] = collections.Counter()
for _ in range(11):
    found['said'].update(json.loads(lines.readline()))
os.write(there[1], b'x' * 11)
found['echoes'] = sum(int(lines.readline()) for _ in range(11))
for _ in range(100):
    time.sleep(0.1)
    found['then'] = plain('http://web.test/hello')
    if found['then'] == '200 OK':
        break
""")
            kib = memory_peak_kib(daemon)
            deadline = time.monotonic() + 10
            while (count := len(os.listdir(f"/proc/{daemon}/fd"))) > 200:
                self.assertLess(time.monotonic(), deadline, count)
                time.sleep(0.1)
        said, served = found["said"], found["said"]["200 Connection established"]
        print(f"    {sum(said.values())} connections, {served} served, {kib // 1024} MiB",
              flush=True)
        self.assertEqual(sum(said.values()), 9900)
        self.assertGreaterEqual(served, min(9900, GATEWAY_SHARE))
        self.assertLessEqual({word[:3] for word in said}, {"200", "503", "not"})
        self.assertEqual((found["echoes"], found["then"]), (served, "200 OK"))
        self.assertEqual(result["egress"][-1]["connections"], served)
        self.assertLess(kib, 256 * 1024)

    def test_connections_beyond_the_limit_are_told(self):
        found, _ = self.attempts("""
held = [open_proxy() for _ in range(64)]
for s in held:
    s.sendall(b'G')
time.sleep(0.5)
found['more'] = raw('GET http://web.test/hello HTTP/1.1\\r\\nHost: web.test\\r\\n\\r\\n')
for s in held:
    s.close()
time.sleep(0.5)
found['then'] = plain('http://web.test/hello')
""")
        self.assertEqual(found, {"more": "503 more than 64 connections at once", "then": "200 OK"})

    def test_bytes_beyond_the_budget_do_not_pass(self):
        with Service("--dns-servers", internet.DNS, "--egress-allow", "web.test",
                     "--egress-bytes", "3m") as service:
            self.service = service
            found, result = self.attempts("""
s = open_proxy()
s.sendall(b'GET http://web.test/bytes/9000000 HTTP/1.1\\r\\nHost: web.test\\r\\n\\r\\n')
found['bytes'] = len(read_all(s))
found['then'] = plain('http://web.test/hello')
""")
        self.assertLessEqual(found["bytes"], 3 << 20)
        self.assertGreater(found["bytes"], 1 << 20)
        self.assertEqual(found["then"], "403 the budget of 3 MiB is used up")
        self.assert_denied(result, "connect web.test:80", "the budget of 3 MiB is used up")

    def test_who_reads_slowly_holds_nothing_up(self):
        found, _ = self.attempts("""
slow = []
for _ in range(30):
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    s.connect(('127.0.0.1', 3128))
    s.sendall(b'GET http://web.test/bytes/20000000 HTTP/1.1\\r\\nHost: web.test\\r\\n\\r\\n')
    slow.append(s)
time.sleep(1)
began = time.monotonic()
found['others'] = [plain('http://web.test/hello') for _ in range(5)]
found['seconds'] = time.monotonic() - began
found['slow'] = len(slow[0].recv(100))
""")
        daemon = self.service.children()["daemon"]
        kib = memory_peak_kib(daemon)
        self.assertEqual(found["others"], ["200 OK"] * 5)
        self.assertLess(found["seconds"], 5 * SLOW)
        self.assertEqual(found["slow"], 100)
        self.assertLess(kib, 200 * 1024)


class CommandLine(EgressCase):
    def test_airlock_run_has_a_gateway_of_its_own(self):
        """Name servers of the host are those of /etc/resolv.conf: here by address only."""
        program = WORLD["folder"] / "prog.py"
        program.write_text(LIBRARY + "found = [plain('http://10.99.0.1/hello'), "
                           "plain('http://10.99.0.1:8080/hello')]" + TAIL)
        done = subprocess.run([airlock.binary(), "run", "--json", "--allow", "10.99.0.1:80",
                               program], capture_output=True, check=True, timeout=60)
        result = json.loads(done.stdout)
        self.assertEqual(json.loads(result["stdout"]), ["200 OK", "403 an address, not a name"])
        self.assertEqual(result["egress"][0]["connections"], 1)

    def test_what_it_cannot_do_is_said(self):
        for words, said in ((["--network", "gateway"], "--allow"), (["--allow", "a/b"], "a/b"),
                            (["--network", "none", "--allow", "a.test"], "--network none"),
                            (["--allow", "pipy"], "pypi")):
            done = subprocess.run([airlock.binary(), "run", *words, "x.py"], capture_output=True,
                                  check=False, timeout=60)
            self.assertEqual(done.returncode, airlock.USAGE_ERROR, done.stderr)
            self.assertIn(said, done.stderr.decode())


if __name__ == "__main__":
    sys.exit(case.run_tests(__name__))
