"""A service of jobs that runs none: the routes of docs/http-api.md, answered as a test says.

For the client's side alone. What it answers is what src/http/job_json.cc answers; jobs_test.py
speaks to the real one. A test may put any answer in the place of a route: `answers[(method, path)]`
is a function of the handler.
"""

import base64
import contextlib
import hashlib
import http.server
import json
import sys
import threading
import time
import urllib.parse

KEY = "a-key-of-sixteen-letters"
JOB = "job_0123456789ab"


def digest(content):
    return hashlib.sha256(content).hexdigest()


def entry(phase, stream, content):
    """A piece of a log, as the service sends it."""
    made = {"timestamp": "2026-01-01T00:00:02.000000", "phase": phase, "stream": stream}
    try:
        made["text"] = content.decode()
    except UnicodeDecodeError:
        made["base64"] = base64.b64encode(content).decode()
    return made


def job(status="completed", **more):
    made = {
        "job_id": JOB, "status": status, "weight_class": "0x",
        "submitted_at": "2026-01-01T00:00:00.000000", "started_at": "2026-01-01T00:00:01.000000",
        "completed_at": "2026-01-01T00:01:06.000000" if status in (
            "completed", "failed", "timeout", "cancelled") else None,
        "current_phase": status, "progress_percentage": 100 if status == "completed" else 50,
        "error_message": None, "error_code": None, "validator_hotkey": None, "miner_hotkey": "m",
        "priority": 0, "repo_url": "https://github.com/example/solver", "repo_branch": "main",
        "repo_commit": "c" * 40, "assigned_gpus": None, "attempts": 1, "phases": [], "egress": [],
        "seal": {"sealed": False}, "inputs": [], "outputs": [], "has_receipt": False,
        "prep_timeout_seconds": 600, "inference_timeout_seconds": None}
    made.update(more)
    return made


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, value, **headers):
        """A value as JSON, or bytes as they are."""
        content = value if isinstance(value, bytes) else json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        for name, text in headers.items():
            self.send_header(name.replace("_", "-"), text)
        self.end_headers()
        self.wfile.write(content)

    def raw(self, content):
        """Bytes on the wire, and the end of the connection."""
        with contextlib.suppress(OSError):
            self.wfile.write(content)
            self.wfile.flush()
        self.close_connection = True

    def begin_events(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    def event(self, name, data, at=""):
        text = (f"id: {at}\n" if at else "") + f"event: {name}\ndata: {json.dumps(data)}\n\n"
        self.wfile.write(f"{len(text.encode()):x}\r\n{text}\r\n".encode())
        self.wfile.flush()

    def end_events(self):
        self.wfile.write(b"0\r\n\r\n")

    def serve(self):
        server = self.server.runner
        self.connection.settimeout(30)
        size = int(self.headers.get("Content-Length") or 0)
        self.body = self.rfile.read(size)
        parts = urllib.parse.urlsplit(self.path)
        self.query = dict(urllib.parse.parse_qsl(parts.query))
        path = urllib.parse.unquote(parts.path)
        server.seen.append((self.command, self.path, dict(self.headers), self.body))
        if server.key and self.headers.get("Authorization") != f"Bearer {server.key}":
            self.answer(401, {"error": {"code": "unauthorized", "message": "a key is needed"}})
            return
        answer = server.answers.get((self.command, path)) or server.route(self.command, path)
        answer(self)

    do_GET = do_POST = do_DELETE = serve


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        """Clients that hang up, and handshakes that fail, are what some tests are about."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


class FakeRunner:
    """Serves on a port of its own until it is left; `jobs`, `logs` and `files` are its world."""

    def __init__(self, key=""):
        self.key = key
        self.jobs = {}
        self.logs = {}  # {job: [(phase, [entry...])]}
        self.files = {}  # {(job, path): content}
        self.receipts = {}
        self.answers = {}
        self.seen = []
        self.on_submit = lambda request: job("completed")

    def __enter__(self):
        self.server = Server(("127.0.0.1", 0), Handler)
        self.server.runner = self
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def requests(self, method=None):
        return [seen for seen in self.seen if method in (None, seen[0])]

    def add(self, record, outputs=()):
        """`outputs`: (path, content), which become the record's and are served."""
        for path, content in outputs:
            record["outputs"].append(
                {"path": path, "size": len(content), "sha256": digest(content)})
            self.files[record["job_id"], path] = content
        self.jobs[record["job_id"]] = record
        return record

    def route(self, method, path):
        parts = path.split("/")
        if (method, path) == ("POST", "/v1/jobs/submit"):
            return self.submit
        if (method, path) == ("GET", "/v1/jobs"):
            return self.list
        if parts[:3] != ["", "v1", "jobs"] or len(parts) < 4:
            return lambda handler: handler.answer(404, {"error": {
                "code": "not_found", "message": f"{path} is not served"}})
        name, rest = parts[3], "/".join(parts[4:])
        if name not in self.jobs:
            return lambda handler: handler.answer(404, {"detail": f"Job not found: {name}"})
        if method == "DELETE":
            return lambda handler: self.cancel(handler, name)
        if not rest:
            return lambda handler: handler.answer(200, self.jobs[name])
        if rest == "logs":
            return lambda handler: self.log(handler, name)
        if rest == "receipt":
            return lambda handler: handler.answer(200, self.receipts[name])
        return lambda handler: handler.answer(
            200, self.files[name, rest.removeprefix("outputs/")])

    def submit(self, handler):
        record = self.on_submit(json.loads(handler.body))
        if record["job_id"] not in self.jobs:
            self.add(record)
        handler.answer(201, {"job_id": record["job_id"], "status": record["status"],
                             "estimated_start_time": None, "queue_position": 0})

    def list(self, handler):
        """Pages by offset; the real one has other cursors, which are its own affair."""
        first, limit = int(handler.query.get("cursor", 0)), int(handler.query["limit"])
        wanted = handler.query.get("status", "").split(",")
        found = [one for one in self.jobs.values() if wanted == [""] or one["status"] in wanted]
        more = first + limit < len(found)
        handler.answer(200, {"jobs": found[first:first + limit],
                             "next": str(first + limit) if more else None})

    def cancel(self, handler, name):
        if self.jobs[name]["status"] not in ("completed", "failed", "timeout"):
            self.jobs[name]["status"] = "cancelled"
        handler.answer(200, {"job_id": name, "status": self.jobs[name]["status"]})

    def log(self, handler, name):
        phases = self.logs.get(name, [])
        if "follow" in handler.query:
            return self.follow(handler, name, phases)
        phase = handler.query.get("phase") or (phases[-1][0] if phases else None)
        entries = dict(phases).get(phase, [])
        first = int(handler.query.get("offset", 0))
        page = entries[first:first + 2]
        handler.answer(200, {"job_id": name, "status": self.jobs[name]["status"],
                             "phases": [one for one, _ in phases], "phase": phase,
                             "entries": page, "next_offset": first + len(page)})

    def follow(self, handler, name, phases):
        handler.begin_events()
        after = handler.headers.get("Last-Event-ID", "")
        skip = bool(after)
        for phase, entries in phases:
            for i, one in enumerate(entries, 1):
                if not skip:
                    handler.event("log", one, f"{phase}:{i}")
                skip = skip and f"{phase}:{i}" != after
        while self.jobs[name]["status"] not in ("completed", "failed", "timeout", "cancelled"):
            time.sleep(0.02)
        handler.event("end", {"job_id": name, "status": self.jobs[name]["status"],
                              "error_message": None})
        handler.end_events()
