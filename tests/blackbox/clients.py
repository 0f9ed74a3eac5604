"""Clients of a run service for tests under load: honest, hostile and rude ones, each a thread.

An honest client knows what is right and notes every answer that is not. A connection that ends
before the answer is whole is `broken`: what a client sees of a service that is killed, and what it
must never see otherwise. A hostile client sends programs that use up all they can; a rude one
breaks off, sends nonsense, or stops reading.
"""

import http.client
import json
import random
import socket
import threading
import time

LIMITS = {"wall_ms": 700, "cpu_ms": 400, "memory_bytes": 48 << 20, "pids": 24,
          "output_bytes": 65536}
HOSTILE = (
    {"language": "python", "code": "import os\nwhile True: os.fork()"},
    {"language": "python", "code": "a = []\nwhile True: a.append(bytearray(1 << 20))"},
    {"language": "python", "code": "import os\nwhile True: os.open('/dev/null', 0)"},
    {"argv": ["sh", "-c", "while :; do echo flood flood flood; done"]},
    {"argv": ["sh", "-c", "trap '' TERM INT; while :; do :; done"]},
    {"argv": ["sh", "-c", "(sleep 1000 &) ; (setsid sleep 1000 &) ; exit 0"]},
    {"argv": ["sh", "-c", "cat /dev/zero > /workspace/f"]},
    {"argv": ["sh", "-c", "i=0; while :; do i=$((i+1)); : > /workspace/$i; done"]},
    {"argv": ["sh", "-c", "kill -KILL -1; kill -KILL 1"]},
    {"argv": ["sh", "-c", "kill -STOP $$"]},
    {"argv": ["sh", "-c", "sleep 0.1; kill -STOP -1"]},
)
BROKEN = (OSError, http.client.HTTPException)
NONSENSE = (
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"POST /v1/run HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
    b"POST /v1/run HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
    b"GET /" + b"a" * 100_000,
    b"\r\n" * 5_000,
)


def honest_request(number):
    return {"argv": ["sh", "-c", "cat f; echo $((N + 1)); exit $((N % 7))"],
            "env": {"N": str(number)}, "files": [{"path": "f", "content": f"file {number}\n"}],
            "limits": {"wall_ms": 60000}}


def expected_of(number):
    return "exited", number % 7, f"file {number}\n{number + 1}\n"


def check_honest(number, status, answer):
    expected = (200, *expected_of(number))
    seen = (status, answer.get("outcome"), answer.get("exit_code"), answer.get("stdout"))
    return None if seen == expected else f"expected {expected}, saw {seen}: {answer}"


def check_hostile(_, status, answer):
    fine = status == 429 or (status == 200 and answer["outcome"] != "setup_failed")
    return None if fine else f"{status} {answer}"


def streamed(service, request):
    """(status, result) of a stream, with what it sent before as the result's stdout; OSError or
    HTTPException if it broke off. A stream that ends without a result is broken, too."""
    connection = service.connect()
    try:
        connection.request("POST", "/v1/run/stream", json.dumps(request),
                           {"Content-Type": "application/json"})
        answer = connection.getresponse()
        text = answer.read().decode()
        if answer.status != 200:
            return answer.status, json.loads(text)
        events = [event.split("\ndata: ", 1) for event in text.split("\n\n")
                  if event.startswith("event: ")]
        output = "".join(json.loads(data).get("text", "") for name, data in events
                         if name == "event: output")
        if not events or events[-1][0] == "event: output":
            raise http.client.IncompleteRead(text.encode())
        name, last = events[-1][0], json.loads(events[-1][1])
        return (200, {**last, "stdout": output}) if name == "event: result" else (502, last)
    finally:
        connection.close()


class Client(threading.Thread):
    """Does `once` again and again until `ends` is set."""

    def __init__(self, service):
        super().__init__(daemon=True)
        self.service = service
        self.answers = self.broken = 0
        self.wrong = []
        self.ends = threading.Event()

    def run(self):
        number = 0
        while not self.ends.is_set():
            number += 1
            try:
                self.once(number)
            except BROKEN:
                self.broken += 1
                self.ends.wait(0.02)
            except (ValueError, KeyError) as error:
                self.wrong.append(f"an answer that makes no sense: {error!r}")

    def note(self, problem):
        self.answers += 1
        if problem:
            self.wrong.append(problem)


class Honest(Client):
    """`clean`: what may come instead of the right answer while a process is killed; such an answer
    says that nothing is known about the run."""

    def __init__(self, service, clean=()):
        super().__init__(service)
        self.clean = clean
        self.refused = 0

    def once(self, number):
        ask = self.service.run if number % 4 else lambda **body: streamed(self.service, body)
        status, answer = ask(**honest_request(number))
        if status in self.clean:
            self.refused += 1
            return
        self.note(check_honest(number, status, answer))


class Hostile(Client):
    def __init__(self, service, clean=()):
        super().__init__(service)
        self.clean = clean

    def once(self, number):
        status, answer = self.service.run(**random.choice(HOSTILE), limits=LIMITS)
        if status not in self.clean:
            self.note(check_hostile(number, status, answer))


class Rude(Client):
    """What comes back is not looked at: others must not feel it."""

    def once(self, number):
        body = json.dumps({"argv": ["sh", "-c", "yes | head -c 3000000"]})
        head = (f"POST /v1/run{'/stream' if number % 2 else ''} HTTP/1.1\r\nHost: localhost\r\n"
                f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n")
        whole = (head + body).encode()
        with self.service.raw() as connection:
            kind = random.randrange(4)
            if kind == 0:
                connection.sendall(random.choice(NONSENSE))
            elif kind == 1:
                connection.sendall(whole[:random.randrange(len(whole))])
            else:
                connection.sendall(whole)
            if kind == 2:
                connection.shutdown(socket.SHUT_WR)
            self.ends.wait(random.uniform(0, 0.5))
        self.answers += 1


def start(clients):
    for client in clients:
        client.start()
    return clients


def stop(clients, seconds):
    """What was wrong; a client that does not come back is, too."""
    for client in clients:
        client.ends.set()
    deadline = time.monotonic() + seconds
    for client in clients:
        client.join(max(0.1, deadline - time.monotonic()))
    wrong = [problem for client in clients for problem in client.wrong]
    return wrong + [f"{client} hangs" for client in clients if client.is_alive()]


def total(clients, name):
    return sum(getattr(client, name, 0) for client in clients)
