"""What the tests of artifacts have in common: the server, folders for each test, a bucket."""

import hashlib
import pathlib
import shutil
import sys
import tempfile
import unittest

import tool

TESTS = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(TESTS), str(TESTS / "blackbox")]
from support import s3_server  # noqa: E402

MEBIBYTE = 1 << 20
PART = 5 * MEBIBYTE
PARTS = ("--multipart-from", PART, "--part-size", PART)
QUICK = ("--wait-ms", 50)

server = s3_server.S3Server()
buckets = iter(f"bucket-{number}" for number in range(10_000))


def sha256_of_zeros(size):
    whole, piece = hashlib.sha256(), bytes(MEBIBYTE)
    for _ in range(size // MEBIBYTE):
        whole.update(piece)
    whole.update(bytes(size % MEBIBYTE))
    return whole.hexdigest()


class Case(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="artifact-test-"))
        self.addCleanup(shutil.rmtree, self.folder)
        self.source, self.target = self.folder / "source", self.folder / "target"
        self.source.mkdir()
        self.target.mkdir()
        self.environment = server.environment()

    def write(self, files):
        for name, content in files.items():
            path = self.source / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)

    def write_hole(self, name, size):
        with open(self.source / name, "wb") as file:
            file.truncate(size)

    def read(self):
        return {str(path.relative_to(self.target)): path.read_bytes()
                for path in self.target.rglob("*") if path.is_file()}

    def tool(self, *words, **environment):
        return tool.run(self.environment | environment, *words)

    def done(self, *words, **environment):
        done = self.tool(*words, **environment)
        self.assertEqual(done.status, 0, done.said())
        return done

    def assert_refused(self, done, code, *parts):
        self.assertEqual(done.status, 1, done.said())
        self.assertTrue(done.stderr.splitlines()[-1].startswith(("error ", "hint: ")), done.said())
        self.assertIn(f"error {code}: ", done.stderr)
        for part in parts:
            self.assertIn(part, done.stderr)
        for secret in (s3_server.SECRET_KEY, s3_server.OTHER_SECRET_KEY):
            self.assertNotIn(secret, done.stderr)


class Bucket(Case):
    def setUp(self):
        super().setUp()
        self.bucket = next(buckets)
        server.make_bucket(self.bucket)
        self.uri = f"s3://{self.bucket}/jobs/1"

    def keys(self):
        lines = self.done("list", f"s3://{self.bucket}/jobs").stdout.splitlines()
        return {key: int(size) for size, key in (line.split(" ", 1) for line in lines)}
