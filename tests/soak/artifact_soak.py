#!/usr/bin/env python3
"""Artifacts at full size, on a real S3 server: 5 GiB in bounded memory, and a minute without S3.

    tests/soak/artifact_soak.py [--gibibytes 5] [--seconds-away 60]

The server compresses, so that a file of zeros takes no room there; the file that is sent has holes
only, the one that is fetched takes its whole size below /tmp. The last line is `N passed, N
failed`.
"""

import argparse
import hashlib
import os
import pathlib
import sys
import tempfile
import time

TESTS = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(TESTS), str(TESTS / "artifact")]

import tool  # noqa: E402
from support import s3_server  # noqa: E402

MEBIBYTE = 1 << 20
MEMORY_MAX = 64 * MEBIBYTE
BUCKET = "soak"


class Tally:
    def __init__(self):
        self.passed = self.failed = 0

    def say(self, holds, what, detail):
        self.passed += bool(holds)
        self.failed += not holds
        print(f"{'ok  ' if holds else 'FAIL'} {what}: {detail}", flush=True)


def sha256_of_zeros(size):
    whole, piece = hashlib.sha256(), bytes(MEBIBYTE)
    for _ in range(size // MEBIBYTE):
        whole.update(piece)
    whole.update(bytes(size % MEBIBYTE))
    return whole.hexdigest()


def move_large(server, folder, size, tally):
    for name in ("source", "target"):
        (folder / name).mkdir()
    with open(folder / "source/hole", "wb") as file:
        file.truncate(size)
    expected = {"hole": (size, sha256_of_zeros(size))}
    for what, words in (("up", ("push", f"s3://{BUCKET}/large", folder / "source")),
                        ("down", ("fetch", f"s3://{BUCKET}/large/", folder / "target"))):
        done = tool.run(server.environment(), *words)
        holds = done.status == 0 and done.digests() == expected and \
            0 < done.memory_bytes < MEMORY_MAX
        tally.say(holds, f"{size:,} bytes {what}",
                  f"{done.seconds:.0f} s, at most {done.memory_bytes / MEBIBYTE:.1f} MiB resident"
                  if holds else done.said())


def be_away(server, folder, seconds, tally):
    source = folder / "small"
    source.mkdir()
    (source / "random").write_bytes(os.urandom(40 * MEBIBYTE))
    part = 5 * MEBIBYTE
    running = tool.Running(server.environment(), "--attempts", 12, "--multipart-from", part,
                           "--part-size", part, "push", f"s3://{BUCKET}/small", source)
    began_well = running.wait_for_bytes(3 * part)
    server.kill_gateway()
    time.sleep(seconds)
    still_tries = running.process.poll() is None
    server.start_gateway()
    done = running.finish()
    stored = server.request("GET", f"/{BUCKET}/small/random")[1]
    holds = began_well and still_tries and done.status == 0 and \
        stored == (source / "random").read_bytes()
    tally.say(holds, f"S3 away for {seconds} s during an upload",
              f"whole after {done.seconds:.0f} s" if holds else done.said())


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--gibibytes", type=int, default=5)
    parser.add_argument("--seconds-away", type=int, default=60)
    options = parser.parse_args()
    tool.SECONDS_MAX = 3_600
    tally = Tally()
    with tempfile.TemporaryDirectory(prefix="artifact-soak-") as name, \
            s3_server.S3Server(compresses=True) as server:
        server.make_bucket(BUCKET)
        if options.gibibytes:
            move_large(server, pathlib.Path(name), (options.gibibytes << 30) + 1, tally)
        if options.seconds_away:
            be_away(server, pathlib.Path(name), options.seconds_away, tally)
    print(f"{tally.passed} passed, {tally.failed} failed")
    sys.exit(0 if tally.failed == 0 and tally.passed > 0 else 1)


if __name__ == "__main__":
    main()
