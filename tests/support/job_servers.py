#!/usr/bin/env python3
"""Servers that stand for the internet when jobs are tried on one machine, all on loopback.

    names    a name server that knows *.airlock.test
    git      a repository over https, by `git http-backend`, with a certificate of our own
    model    plain http, that prep is allowed to reach
    other    plain http, that nobody is allowed to reach

As a program: tests/support/job_servers.py --folder NEW --repository SOURCE prints one JSON object
with the addresses and a configuration for `airlock serve`, and serves until its stdin ends.
"""

import argparse
import contextlib
import http.server
import json
import os
import pathlib
import shutil
import socketserver
import ssl
import struct
import subprocess
import sys
import threading

MODEL = {"watts_per_gpu": 700}
GIT = {**os.environ, "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": "/dev/null",
       "GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@example.org", "GIT_COMMITTER_NAME": "a",
       "GIT_COMMITTER_EMAIL": "a@example.org"}


def run(*words, **options):
    return subprocess.run(words, check=True, capture_output=True, env=GIT, **options)


def make_certificate(folder):
    """For the git server, signed by itself."""
    key, certificate = folder / "server.key", folder / "server.pem"
    names = "subjectAltName=DNS:git.airlock.test,IP:127.0.0.1"
    run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
        "-nodes", "-days", "30", "-subj", "/CN=git.airlock.test", "-addext", names,
        "-keyout", str(key), "-out", str(certificate))
    certificate.chmod(0o644)
    return key, certificate


class NameServer(socketserver.ThreadingUDPServer):
    """One A record for every name of the zone, nothing else."""

    ZONE = ".airlock.test"
    daemon_threads = True

    class Handler(socketserver.BaseRequestHandler):
        def handle(self):
            query, socket = self.request
            name, at = [], 12
            while query[at]:
                name.append(query[at + 1:at + 1 + query[at]].decode())
                at += 1 + query[at]
            kind = struct.unpack(">H", query[at + 1:at + 3])[0]
            known = ("." + ".".join(name)).lower().endswith(NameServer.ZONE)
            answers = known and kind == 1
            head = query[:2] + struct.pack(">HHHHH", 0x8180 if known else 0x8183, 1, answers, 0, 0)
            record = b"\xc0\x0c" + struct.pack(">HHIH", 1, 1, 1, 4) + b"\x7f\0\0\x01"
            socket.sendto(head + query[12:at + 5] + record * answers, self.client_address)

    def __init__(self):
        super().__init__(("127.0.0.1", 0), self.Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Repository:
    """A work tree and the bare repository beside it that is served."""

    def __init__(self, folder, name="job"):
        self.work = folder / f"{name}-work"
        self.bare = folder / "git" / f"{name}.git"
        self.work.mkdir(parents=True)
        run("git", "init", "-q", "-b", "main", str(self.work))
        run("git", "init", "-q", "--bare", "-b", "main", str(self.bare))
        run("git", "-C", str(self.bare), "config", "uploadpack.allowAnySHA1InWant", "true")
        run("git", "-C", str(self.bare), "config", "http.receivepack", "false")

    def commit(self, files, branch="main", submodules=None):
        """Exactly these files, {path: text or bytes}, and submodules {path: commit}; the commit's
        name."""
        for path in self.work.iterdir():
            if path.name != ".git":
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        for name, content in files.items():
            path = self.work / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        run("git", "-C", str(self.work), "add", "-A", "-f")
        for path, commit in (submodules or {}).items():
            run("git", "-C", str(self.work), "update-index", "--add", "--cacheinfo",
                f"160000,{commit},{path}")
        run("git", "-C", str(self.work), "commit", "-q", "--allow-empty", "-m", "a job")
        run("git", "-C", str(self.work), "push", "-q", "-f", str(self.bare), f"HEAD:{branch}")
        return run("git", "-C", str(self.work), "rev-parse", "HEAD").stdout.decode().strip()


class Quiet(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, body, content_type="application/json"):
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class GitHandler(Quiet):
    """`git http-backend` as a CGI program."""

    def do_GET(self):
        self.serve()

    def do_POST(self):
        self.serve()

    def body(self):
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            whole = b""
            while size := int(self.rfile.readline().split(b";")[0], 16):
                whole += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return whole
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def serve(self):
        self.server.hold.wait()
        body = self.body()
        path, _, query = self.path.partition("?")
        environment = {**GIT, "GIT_PROJECT_ROOT": str(self.server.root),
                       "GIT_HTTP_EXPORT_ALL": "1", "PATH_INFO": path, "QUERY_STRING": query,
                       "REQUEST_METHOD": self.command, "CONTENT_LENGTH": str(len(body)),
                       "CONTENT_TYPE": self.headers.get("Content-Type", ""),
                       "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
                       "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
                       "GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "safe.directory",
                       "GIT_CONFIG_VALUE_0": "*"}
        done = subprocess.run(["git", "http-backend"], input=body, capture_output=True,
                              env=environment, check=False)
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        fields = dict(line.split(": ", 1) for line in head.decode().split("\r\n") if ": " in line)
        status = int(fields.pop("Status", "200 OK").split()[0])
        self.send_response(status)
        for name, value in fields.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


class ModelHandler(Quiet):
    def do_GET(self):
        self.server.hits.append(self.path)
        if self.path == "/slow":
            self.server.hold.wait(60)
        self.answer(200, json.dumps(MODEL).encode() + b"\n")


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, name, handler, context=None):
        super().__init__(("127.0.0.1", 0), handler)
        self.name = name
        self.hits = []
        self.hold = threading.Event()  # cleared: answers have to wait
        self.hold.set()
        if context:
            self.socket = context.wrap_socket(self.socket, server_side=True,
                                              do_handshake_on_connect=False)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, *_):
        pass  # a guest that is killed hangs up

    @property
    def port(self):
        return self.server_address[1]

    def address(self):
        return f"127.0.0.1:{self.port}"

    def host(self):
        return f"{self.name}{NameServer.ZONE}:{self.port}"


class JobServers:
    """`with JobServers(folder) as servers:`; all of them, and what `airlock serve` has to know."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.folder.chmod(0o755)  # the service is another user
        self.repository = Repository(self.folder)

    def __enter__(self):
        key, self.certificate = make_certificate(self.folder)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, key)
        self.names = NameServer()
        self.git = Server("git", GitHandler, context)
        self.git.root = self.folder / "git"
        self.model = Server("models", ModelHandler)
        self.other = Server("elsewhere", ModelHandler)
        return self

    def __exit__(self, *_):
        for server in (self.git, self.model, self.other):
            server.hold.set()
        for server in (self.git, self.model, self.other, self.names):
            server.shutdown()
            server.server_close()

    @property
    def url(self):
        return f"https://{self.git.host()}/job.git"

    def configuration(self, attempts=2, repo_hosts=(), private=(), build_hosts=(), build_env=()):
        """As YAML. `repo_hosts` and `private` are more of both."""
        files = self.folder / "files"
        files.mkdir(exist_ok=True)
        files.chmod(0o777)
        opened = [self.git.address(), self.model.address(), *private]
        return f"""\
dns_servers: ["127.0.0.1:{self.names.server_address[1]}"]
execution:
  allowed_repo_hosts: {json.dumps([self.git.host(), *repo_hosts])}
  ca_file: {self.certificate}
  max_attempts: {attempts}
  build_env: {json.dumps(list(build_env))}
security:
  network_policy:
    allowed_prep_domains: ["{self.model.host()}"]
    allowed_build_domains: {json.dumps(list(build_hosts))}
    allowed_private_destinations: {json.dumps(opened)}
storage:
  file_roots: ["{files}"]
"""

    def job(self, **more):
        """The body of a request for the job in the repository."""
        return {"repo_url": self.url, "weight_class": "0x", "miner_hotkey": "miner",
                "memory_gb": 0.5, "disk_quota_gb": 0.0625, "cpu_cores": 1,
                "custom_env_vars": {"MODEL_URL": f"http://{self.model.host()}/model.json",
                                    "FORBIDDEN_URL": f"http://{self.other.host()}/secret"},
                **more}


def files_of(source):
    source = pathlib.Path(source)
    return {str(path.relative_to(source)): path.read_bytes()
            for path in sorted(source.rglob("*")) if path.is_file()}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--folder", required=True)
    parser.add_argument("--repository", required=True)
    arguments = parser.parse_args()
    with contextlib.ExitStack() as stack:
        servers = stack.enter_context(JobServers(arguments.folder))
        commit = servers.repository.commit(files_of(arguments.repository))
        configuration = servers.folder / "service.yaml"
        configuration.write_text(servers.configuration())
        print(json.dumps({"url": servers.url, "commit": commit, "config": str(configuration),
                          "files": str(servers.folder / "files"), "job": servers.job()}),
              flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
