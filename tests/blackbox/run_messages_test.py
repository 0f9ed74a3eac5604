#!/usr/bin/env python3
"""What `airlock run` says where a person can do something about it.

    tests/blackbox/run_messages_test.py

AIRLOCK names the binary to test. Needs gcc on the host.
"""

import contextlib
import http.server
import shutil
import subprocess
import sys
import threading

import case
from case import Case
from support import airlock

FETCH = """
import sys, urllib.request
for url in sys.argv[1:]:
    try:
        print(urllib.request.urlopen(url, timeout=10).status)
    except OSError as error:
        print(error)
"""


class Quiet(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


class Companions(Case):
    """Airlock alone in a folder."""

    def setUp(self):
        super().setUp()
        self.binary = self.folder / "airlock"
        shutil.copy(airlock.binary(), self.binary)

    def said_by(self, *words):
        done = subprocess.run([self.binary, *words], cwd=self.folder, capture_output=True,
                              text=True, timeout=60, check=False)
        self.assertEqual(done.returncode, airlock.HOST_ERROR, done.stderr)
        return done.stderr

    def test_the_one_that_is_missing_is_named(self):
        said = self.said_by("run", self.write("p.py", "print(1)"))
        self.assertIn(f"{self.folder}/airlock-init is missing", said)
        self.assertIn("airlock doctor", said)
        for verb in ("serve", "jobs"):
            said = self.said_by(verb)
            self.assertIn(f"{self.folder}/airlock-daemon is missing", said)
            self.assertIn("airlock doctor", said)


class Loader(Case):
    def build(self):
        (self.folder / "x.c").write_text("int x(void) { return 0; }")
        (self.folder / "main.c").write_text("int x(void); int main(void) { return x(); }")
        for words in (["-shared", "-fPIC", "-o", "libx.so", "x.c"],
                      ["-o", "main", "main.c", "-L.", "-lx"]):
            subprocess.run(["gcc", *words], cwd=self.folder, check=True)

    def test_a_library_that_is_missing_is_named_with_the_way_to_bring_it(self):
        self.build()
        done = self.airlock("run", "./main")
        self.assertEqual(done.returncode, 127)
        said = done.stderr.decode()
        self.assertIn("error while loading shared libraries: libx.so", said)
        self.assertIn("airlock: exited: the program did not start: the loader cannot use the "
                      "library libx.so inside the sandbox", said)
        done = self.airlock("run", "./main", "--file", "libx.so", "--env",
                            "LD_LIBRARY_PATH=/workspace")
        self.assertEqual((done.returncode, done.stderr), (0, b""))

    def test_what_cannot_be_executed_is_told_as_the_programs_fault(self):
        script = self.write("script", "#!/opt/none/python\n")
        done = self.airlock("run", script)
        self.assertEqual(done.returncode, 117)
        self.assertIn("could not start the program: exec: No such file or directory (the program "
                      "or the interpreter it names does not exist", done.stderr.decode())


class Network(Case):
    def setUp(self):
        super().setUp()
        stack = self.enterContext(contextlib.ExitStack())
        server = stack.enter_context(http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        stack.callback(server.shutdown)
        self.port = server.server_address[1]

    def test_a_port_of_this_machine_is_opened_by_its_address(self):
        url = f"http://127.0.0.1:{self.port}/"
        done = self.run_python(FETCH, "--allow", f"127.0.0.1:{self.port}", args=[url])
        self.assertEqual((done.stdout, done.stderr), (b"200\n", b""))
        # Without it, that address is the sandbox itself.
        done = self.run_python(FETCH, "--allow", "example.com", args=[url])
        self.assertIn(b"refused", done.stdout)
        self.assertEqual(done.stderr, b"")

    def test_localhost_is_refused_with_what_to_say_instead(self):
        done = self.airlock("run", "--allow", f"localhost:{self.port}", self.write("p.py", ""))
        self.assert_refused(done, f"--allow 127.0.0.1:{self.port}")

    def test_what_was_refused_is_said_at_the_end_with_the_flag_that_opens_it(self):
        done = self.run_python(FETCH, "--allow", f"127.0.0.1:{self.port}",
                               args=["http://web.example/", "http://10.0.0.1/"])
        self.assertEqual(done.returncode, 0)
        said = done.stderr.decode()
        self.assertIn("airlock: refused: web.example:80: not in the allow-list (add --allow", said)
        self.assertIn("airlock: refused: 10.0.0.1:80: an address, not a name", said)
        self.assertIn("--allow IP:PORT", said)
        self.assertNotIn("allowed_private_destinations", said)
        done, result = self.result_of(FETCH, "--allow", f"127.0.0.1:{self.port}",
                                      args=["http://10.0.0.1/"])
        self.assertEqual(done.stderr, b"")
        self.assertIn("--allow IP:PORT", result["denied"][0]["fix"])

    def test_a_program_that_fails_over_it_has_one_line_for_each(self):
        done = self.run_python(FETCH + "sys.exit(1)", "--allow", f"127.0.0.1:{self.port}",
                               args=["http://web.example/"])
        said = done.stderr.decode()
        self.assertEqual(said.count("not in the allow-list"), 1, said)

    def test_quiet_is_quiet(self):
        done = self.run_python(FETCH, "--quiet", "--allow", f"127.0.0.1:{self.port}",
                               args=["http://web.example/"])
        self.assertEqual(done.stderr, b"")


if __name__ == "__main__":
    sys.exit(case.run_tests(__name__))
