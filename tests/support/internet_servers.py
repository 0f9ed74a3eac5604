"""The servers of internet.py, in their namespace: internet_servers.py FOLDER.

Says what it sees, one JSON object for each request, datagram or connection, on its stdout.
"""

import http.server
import json
import pathlib
import resource
import selectors
import socket
import socketserver
import ssl
import struct
import sys
import threading

FOLDER = pathlib.Path(sys.argv[1])
A, AAAA = 1, 28


def say(**what):
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


class Zone:
    def __init__(self):
        self.names = json.loads((FOLDER / "zone.json").read_text())
        self.asked = {}

    def answer(self, name, kind):
        """Addresses of that kind, or None for a name that there is not."""
        addresses = self.names.get(name)
        if addresses is None:
            return None
        if addresses and isinstance(addresses[0], list):  # another answer each time
            count = self.asked[name, kind] = self.asked.get((name, kind), -1) + 1
            addresses = addresses[count % len(addresses)]
        return [a for a in addresses if (":" in a) == (kind == AAAA)]


def reply(zone, query):
    name, at = [], 12
    while query[at]:
        name.append(query[at + 1:at + 1 + query[at]].decode())
        at += 1 + query[at]
    question = query[12:at + 5]
    kind, = struct.unpack("!H", query[at + 1:at + 3])
    name = ".".join(name).lower()
    found = zone.answer(name, kind)
    say(dns=name, kind=kind)
    records = b"".join(
        b"\xc0\x0c" + struct.pack("!HHIH", kind, 1, 0, len(packed)) + packed
        for packed in (socket.inet_pton(socket.AF_INET6 if kind == AAAA else socket.AF_INET, a)
                       for a in found or []))
    flags = 0x8180 | (3 if found is None else 0)
    return query[:2] + struct.pack("!HHHHH", flags, 1, len(found or []), 0, 0) + question + records


def serve_udp(port, answer):
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.bind(("0.0.0.0", port))
    while True:
        data, peer = udp.recvfrom(4096)
        try:
            udp.sendto(answer(data), peer)
        except (IndexError, UnicodeDecodeError, struct.error):
            pass  # no question


class Handler(http.server.SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __init__(self, *args):
        super().__init__(*args, directory=str(FOLDER / "www"))

    def note(self):
        say(http=self.path, host=self.headers.get("Host"), local=self.connection.getsockname()[0],
            tls=isinstance(self.connection, ssl.SSLSocket), headers=dict(self.headers))

    def answer(self, status, body, **headers):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        self.note()
        if self.path.startswith("/redirect/"):
            return self.answer(302, b"", Location=self.path.removeprefix("/redirect/"))
        if self.path.startswith("/bytes/"):
            return self.answer(200, b"x" * int(self.path.split("/")[2]))
        if self.path == "/hello":
            return self.answer(200, b"hello\n")
        super().do_GET()

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.note()
        self.answer(200, b"%d bytes\n" % len(body))

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 256

    def handle_error(self, request, client_address):
        pass  # a client that goes away

    def get_request(self):
        connection, peer = super().get_request()
        say(connected=connection.getsockname()[0], port=self.server_port)
        if self.context:
            connection.settimeout(20)
            connection = self.context.wrap_socket(connection, server_side=True,
                                                  do_handshake_on_connect=False)
        return connection, peer


class Greeter(socketserver.BaseRequestHandler):
    def handle(self):
        say(connected=self.request.getsockname()[0], port=22)
        self.request.sendall(b"SSH-2.0-test\r\n" + self.request.recv(100))


def serve_echo(port):
    """One thread for as many as come."""
    chosen = selectors.DefaultSelector()
    listener = socket.create_server(("0.0.0.0", port), backlog=4096)
    listener.setblocking(False)
    chosen.register(listener, selectors.EVENT_READ)
    while True:
        for key, _ in chosen.select():
            if key.fileobj is listener:
                connection, _ = listener.accept()
                chosen.register(connection, selectors.EVENT_READ)
                continue
            try:
                data = key.fileobj.recv(65536)
                key.fileobj.sendall(data)
            except OSError:
                data = b""
            if not data:
                chosen.unregister(key.fileobj)
                key.fileobj.close()


def serve_http(family, port, context):
    kind = type("AnyServer", (Server,), {"address_family": family, "context": context})
    server = kind(("::" if family == socket.AF_INET6 else "0.0.0.0", port), Handler,
                  bind_and_activate=False)
    if family == socket.AF_INET6:
        server.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    server.server_bind()
    server.server_activate()
    server.serve_forever()


def main():
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    print("here", flush=True)
    sys.stdin.readline()
    zone = Zone()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(FOLDER / "server.pem", FOLDER / "server.key")
    work = [(serve_udp, 53, lambda query: reply(zone, query)),
            (serve_udp, 9999, lambda data: (say(udp=data.decode()), data)[1]), (serve_echo, 9000)]
    for family in (socket.AF_INET, socket.AF_INET6):
        work += [(serve_http, family, 80, None), (serve_http, family, 8080, None),
                 (serve_http, family, 443, context)]
    ssh = socketserver.ThreadingTCPServer(("0.0.0.0", 22), Greeter)
    work.append((ssh.serve_forever,))
    for function, *arguments in work:
        threading.Thread(target=function, args=arguments, daemon=True).start()
    print("ready", flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    main()
