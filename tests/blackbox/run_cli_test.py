#!/usr/bin/env python3
"""`airlock run` from outside, without a terminal: flags, streams, files, outcomes, exit codes.

    tests/blackbox/run_cli_test.py

AIRLOCK names the binary to test. Needs python3 and gcc on the host. Prints one line per test, then
`N passed, N failed`. Signals and privileges are in run_process_test.py,
the terminal is in terminal_test.py.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import case
from case import SLOW, Case
from support import airlock, leftovers

HELLO = "import sys\nprint('hello', *sys.argv[1:])\n"


class Verbs(Case):
    def test_help_goes_to_stdout(self):
        for words in (["--help"], ["help"], ["help", "run"], ["run", "--help"], ["help", "doctor"],
                      ["help", "languages"]):
            done = self.airlock(*words)
            self.assertEqual(done.returncode, 0, words)
            self.assertTrue(done.stdout, words)

    def test_help_names_every_flag_of_the_manual(self):
        done = self.airlock("run", "--help")
        for flag in ("--language", "--timeout", "--cpu-time", "--memory", "--pids", "--disk",
                     "--output-limit", "--file", "--output", "--collect", "--env", "--json",
                     "--min-isolation", "--quiet", "--verbose"):
            self.assertIn(flag.encode(), done.stdout)

    def test_version_is_one_line(self):
        for word in ("--version", "version"):
            self.assertRegex(self.airlock(word).stdout, rb"\Aairlock \d+\.\d+\.\d+\n\Z")

    def test_unknown_verb_names_the_nearest(self):
        self.assert_refused(self.airlock("rnu"), '"rnu"', "run")
        self.assert_refused(self.airlock())


class CommandLine(Case):
    def test_wrong_values_are_named_with_their_flag(self):
        prog = self.write("prog.py", HELLO)
        for words in (["--timeout", "10x"], ["--memory", "1k"], ["--pids", "0"], ["--disk", "-1"],
                      ["--cpu-time", "0"], ["--output-limit", "9g"], ["--env", "A"],
                      ["--min-isolation", "vm"], ["--seccomp", "off"], ["--file", "a:../b"],
                      ["--file", "a:/b"], ["--language", "pyton"]):
            done = self.airlock("run", *words, prog)
            self.assert_refused(done, words[1].split(":")[-1])
            if words[0] != "--language":
                self.assertIn(words[0], done.stderr.decode())

    def test_unknown_option_names_the_nearest(self):
        self.assert_refused(self.airlock("run", "--timeot", "5s", "x.py"), "--timeout")

    def test_arguments_need_the_separator(self):
        prog = self.write("prog.py", HELLO)
        self.assert_refused(self.airlock("run", prog, "a"), "-- a")
        done = self.airlock("run", prog, "--", "a", "--timeout", "--", "-v")
        self.assertEqual(done.stdout, b"hello a --timeout -- -v\n")

    def test_programs_that_cannot_run_are_named(self):
        self.assert_refused(self.airlock("run", "none.py"), "none.py", "No such file")
        self.assert_refused(self.airlock("run", self.folder), "is a folder")
        os.mkfifo(self.folder / "fifo.py")
        self.assert_refused(self.airlock("run", "fifo.py"), "not a regular file")
        self.write("notes.txt", "hello\n")
        self.assert_refused(self.airlock("run", "notes.txt"), "notes.txt", ".py")

    def test_escapes_in_names_are_shown_not_sent(self):
        done = self.airlock("run", "a\x1b]0;x\x07.py")
        self.assertNotIn(b"\x1b", done.stderr)
        self.assertIn(b"\\x1b", done.stderr)


class Programs(Case):
    def test_source_by_extension(self):
        done = self.run_python(HELLO, args=["a", "b c"])
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, b"hello a b c\n", b""))

    def test_source_by_name_of_the_language(self):
        prog = self.write("prog.txt", HELLO)
        self.assertEqual(self.airlock("run", "--language", "python", prog).stdout, b"hello\n")

    def test_source_from_stdin_leaves_the_program_an_empty_one(self):
        source = b"import sys\nprint(repr(sys.stdin.read()))\n"
        done = self.airlock("run", "--language", "python", "-", stdin=source)
        self.assertEqual(done.stdout, b"''\n")
        self.assert_refused(self.airlock("run", "-"), "--language")
        self.assert_refused(self.airlock("run", "--language", "python", "-"), "empty")

    def test_script_with_an_interpreter_needs_no_language(self):
        self.write("tool", "#!/bin/sh\necho \"$0 $1\"\n")
        self.assertEqual(self.airlock("run", "tool", "--", "x").stdout, b"/workspace/tool x\n")

    def test_executable_needs_no_language(self):
        self.write("main.c", "int main(void) { return 42; }\n")
        subprocess.run(["gcc", "-o", self.folder / "main", self.folder / "main.c"], check=True)
        self.assertEqual(self.airlock("run", "main").returncode, 42)

    def test_compiled_language_runs(self):
        self.write("main.c", '#include <stdio.h>\nint main(void) { puts("hi"); return 5; }\n')
        done = self.airlock("run", "main.c")
        self.assertEqual((done.returncode, done.stdout), (5, b"hi\n"))

    def test_failed_compilation_is_told_apart(self):
        self.write("main.c", "int main(void) { return oops; }\n")
        done = self.airlock("run", "main.c")
        self.assertEqual((done.returncode, done.stdout), (1, b""))
        self.assertIn(b"oops", done.stderr)
        self.assertIn(b"airlock: exited: compilation failed", done.stderr)
        result = json.loads(self.airlock("run", "--json", "main.c").stdout)
        self.assertIn("oops", result["compile"]["stderr"])
        self.assertEqual(result["stdout"], "")

    def test_compiler_warnings_are_shown_unless_quiet(self):
        self.write("main.c", "int main(void) { int x; return 0; }\n#warning look\n")
        self.assertIn(b"look", self.airlock("run", "main.c").stderr)
        self.assertEqual(self.airlock("run", "--quiet", "main.c").stderr, b"")


class Environment(Case):
    def test_nothing_is_inherited(self):
        done = self.run_python("import os\nprint(sorted(os.environ))\n", "--env", "A=b=c")
        names = set(json.loads(done.stdout.decode().replace("'", '"')))
        base = {"A", "HOME", "LANG", "LOGNAME", "PATH", "TMPDIR", "USER"}
        self.assertTrue(base <= names)
        extra = {name for name in names - base if not name.startswith(("PYTHON", "LC_"))}
        self.assertEqual(extra, set())

    def test_place_and_user(self):
        done = self.run_python(
            "import os, socket\n"
            "print(os.getcwd(), os.getuid(), os.getgid(), socket.gethostname())\n"
            "print(os.environ['HOME'])")
        self.assertEqual(done.stdout, b"/workspace 1000 1000 airlock\n/workspace\n")

    def test_descriptors_of_the_caller_do_not_leak(self):
        secret = self.write("secret", "s")
        with open(secret, "rb") as leaked:
            os.set_inheritable(leaked.fileno(), True)
            prog = self.write("p.py", "import os\nprint(os.listdir('/proc/self/fd'))")
            done = self.airlock("run", prog, close_fds=False)
        self.assertEqual(done.stdout, b"['0', '1', '2', '3']\n")  # 3 is the folder being listed




class Streams(Case):
    def test_stdin_stdout_and_stderr_are_passed_through(self):
        done = self.run_python(
            "import sys\ndata = sys.stdin.buffer.read()\nsys.stdout.buffer.write(data[::-1])\n"
            "sys.stderr.write('err')\n", stdin=b"\x00abc\xff")
        self.assertEqual((done.stdout, done.stderr), (b"\xffcba\x00", b"err"))

    def test_large_stdin_and_stdout_arrive_whole(self):
        data = os.urandom(3 << 20)
        done = self.run_python("import shutil, sys\n"
                               "shutil.copyfileobj(sys.stdin.buffer, sys.stdout.buffer)\n",
                               stdin=data)
        self.assertEqual(done.stdout, data)

    def test_output_comes_as_it_is_written(self):
        prog = self.write("p.py", "import time\nprint('now', flush=True)\ntime.sleep(30)\n")
        with subprocess.Popen(self.command("run", "--timeout", "60s", prog),
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL) as process:
            started = time.monotonic()
            self.assertEqual(process.stdout.readline(), b"now\n")
            self.assertLess(time.monotonic() - started, 10 * SLOW)
            process.send_signal(signal.SIGTERM)
            self.assertEqual(process.wait(10 * SLOW), airlock.EXIT_CODES["cancelled"])

    def test_escapes_pass_unchanged_into_a_pipe(self):
        done = self.run_python("print('\\x1b]0;title\\x07')")
        self.assertEqual(done.stdout, b"\x1b]0;title\x07\n")

    def test_program_that_ignores_its_stdin_does_not_hang(self):
        self.assertEqual(self.run_python("", stdin=b"x" * (1 << 20)).returncode, 0)

    def test_closed_stdin_is_an_empty_one(self):
        prog = self.write("p.py", "import sys\nprint(repr(sys.stdin.read()))\n")
        done = subprocess.run(["/bin/sh", "-c", 'exec "$@" <&-', "sh", *self.command("run", prog)],
                              capture_output=True, timeout=60 * SLOW, check=False)
        self.assertEqual(done.stdout, b"''\n")

    def test_reader_that_goes_away_ends_the_run(self):
        prog = self.write("p.py", "while True: print('y' * 1000)\n")
        started = time.monotonic()
        with subprocess.Popen(self.command("run", "--timeout", "60s", "--output-limit", "1g", prog),
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE) as process:
            process.stdout.read(1000)
            process.stdout.close()
            self.assertEqual(process.wait(20 * SLOW), airlock.EXIT_CODES["cancelled"])
        self.assertLess(time.monotonic() - started, 20 * SLOW)

    def test_slow_reader_stops_the_program_and_not_the_clock(self):
        prog = self.write("p.py", "while True: print('y' * 1000)\n")
        with subprocess.Popen(self.command("run", "--timeout", "1s", "--output-limit", "1g", prog),
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE) as process:
            time.sleep(2)
            output = process.stdout.read()
            self.assertEqual(process.wait(20 * SLOW), airlock.EXIT_CODES["wall_timeout"])
        self.assertLess(len(output), 1 << 20)


class Files(Case):
    def test_files_are_copied_to_their_places(self):
        self.write("a.txt", "A")
        done = self.run_python("print(*(open(f).read() for f in ('a.txt', 'in/b', 'd/a.txt')))",
                               "--file", "a.txt", "--file", "a.txt:in/b", "--file", "a.txt:d/")
        self.assertEqual(done.stdout, b"A A A\n")

    def test_the_original_is_never_touched(self):
        data = self.write("data.txt", "keep")
        self.run_python("open('data.txt', 'w').write('changed')", "--file", "data.txt")
        self.assertEqual(data.read_text(), "keep")

    def test_files_that_cannot_be_are_refused(self):
        prog = self.write("prog.py", HELLO)
        self.assert_refused(self.airlock("run", "--file", "none", prog), "--file", "none")
        self.assert_refused(self.airlock("run", "--file", self.folder, prog), "is a folder")
        self.assert_refused(self.airlock("run", "--file", "prog.py", prog), "given twice")

    def test_output_directory_gets_everything_below_output(self):
        done = self.run_python(
            "import os\nos.makedirs('/output/deep/er')\nopen('/output/a', 'w').write('1')\n"
            "open('/output/deep/er/b', 'wb').write(bytes(range(256)))\n", "--output", "new/folder")
        self.assertEqual(done.returncode, 0, done.stderr)
        top = self.folder / "new" / "folder"
        self.assertEqual((top / "a").read_text(), "1")
        self.assertEqual((top / "deep" / "er" / "b").read_bytes(), bytes(range(256)))

    def test_outputs_that_are_no_files_are_refused_by_name(self):
        done = self.run_python(
            "import os\nos.symlink('/etc/passwd', '/output/link')\nos.mkfifo('/output/pipe')\n"
            "open('/output/good', 'w').write('1')\n", "--output", "out")
        self.assertEqual(sorted(os.listdir(self.folder / "out")), ["good"])
        self.assertIn(b"output refused: /output/link: ", done.stderr)
        self.assertIn(b"output refused: /output/pipe: ", done.stderr)

    def test_links_of_the_user_are_not_written_through(self):
        precious = self.write("precious", "keep")
        (self.folder / "out").mkdir()
        (self.folder / "out" / "a").symlink_to(precious)
        self.run_python("open('/output/a', 'w').write('new')", "--output", "out")
        self.assertEqual(precious.read_text(), "keep")
        self.assertEqual((self.folder / "out" / "a").read_text(), "new")

    def test_collected_files_are_in_the_result(self):
        _, result = self.result_of(
            "open('a.txt', 'w').write('abc')\nopen('b.bin', 'wb').write(b'\\xff')\n"
            "open('c.log', 'w').write('no')\n", "--collect", "*.txt", "--collect", "*.bin")
        self.assertEqual(result["files"], [
            {"path": "a.txt", "size": 3, "content": "abc", "encoding": "utf8"},
            {"path": "b.bin", "size": 1, "content": "/w==", "encoding": "base64"}])

    def test_files_survive_a_timeout(self):
        self.run_python("open('/output/a', 'w').write('1')\nimport time\ntime.sleep(60)\n",
                        "--timeout", "1s", "--output", "out")
        self.assertEqual((self.folder / "out" / "a").read_text(), "1")


class Outcomes(Case):
    PROGRAMS = {
        "wall_timeout": ("import time\ntime.sleep(60)", ["--timeout", "500ms"], "--timeout"),
        "cpu_timeout": ("while True: pass", ["--cpu-time", "500ms"], "--cpu-time"),
        "out_of_memory": ("a = [bytearray(1 << 20) for _ in range(4000)]", ["--memory", "64m"],
                          "--memory"),
        "output_limit": ("print('x' * 100000)", ["--output-limit", "10k"], "--output-limit"),
        "disk_limit": ("open('big', 'wb').write(bytes(64 << 20))", ["--disk", "8m"], "--disk"),
        "process_limit": ("import os, time\nfor i in range(100):\n  if os.fork() == 0:\n"
                          "    time.sleep(9); os._exit(0)\n", ["--pids", "20"], "--pids"),
    }

    def test_every_limit_has_its_line_its_flag_and_its_exit_code(self):
        for outcome, (text, options, flag) in self.PROGRAMS.items():
            with self.subTest(outcome):
                done = self.run_python(text, *options)
                self.assertEqual(done.returncode, airlock.EXIT_CODES[outcome], done.stderr)
                last = done.stderr.decode().splitlines()[-1]
                self.assertTrue(last.startswith(f"airlock: {outcome}: "), last)
                self.assertIn(flag, last)

    def test_cpus_slow_a_program_down_and_end_nothing(self):
        text = "import time\nend = time.monotonic() + 1\nwhile time.monotonic() < end: pass\n"
        _, result = self.result_of(text, "--cpus", "0.3")
        self.assertEqual(result["outcome"], "exited")
        used = result["usage"]["user_ms"] + result["usage"]["system_ms"]
        self.assertGreater(used, 100)
        self.assertLess(used / result["usage"]["wall_ms"], 0.6)

    def test_json_says_the_same(self):
        for outcome, (text, options, _) in self.PROGRAMS.items():
            with self.subTest(outcome):
                done, result = self.result_of(text, *options)
                self.assertEqual(result["outcome"], outcome)
                self.assertEqual(done.returncode, airlock.EXIT_CODES[outcome])
                self.assertTrue(result["detail"])
                self.assertEqual(done.stderr, b"")

    def test_exit_code_and_signal_are_the_programs_own(self):
        self.assertEqual(self.run_python("raise SystemExit(77)").returncode, 77)
        done = self.run_python("import os\nos.kill(os.getpid(), 11)")
        self.assertEqual(done.returncode, 128 + 11)
        self.assertEqual(done.stderr, b"airlock: signalled: ended by SIGSEGV\n")

    def test_output_exactly_at_the_limit_is_fine(self):
        done, result = self.result_of("import sys\nsys.stdout.write('x' * 4096)",
                                      "--output-limit", "4k")
        self.assertEqual((result["outcome"], len(result["stdout"])), ("exited", 4096))
        self.assertFalse(result["stdout_truncated"])
        _, result = self.result_of("import sys\nsys.stdout.write('x' * 4097)",
                                   "--output-limit", "4k")
        self.assertEqual((result["outcome"], len(result["stdout"])), ("output_limit", 4096))
        self.assertTrue(result["stdout_truncated"])
        self.assertEqual(done.returncode, 0)

    def test_isolation_that_cannot_be_given_is_refused(self):
        done = self.run_python(HELLO, "--min-isolation", "kernel")
        self.assertEqual((done.returncode, done.stdout), (airlock.HOST_ERROR, b""))
        self.assertIn(b"kernel", done.stderr)

    def test_verbose_says_what_was_used_and_how_it_was_isolated(self):
        text = self.run_python(HELLO, "--verbose").stderr.decode()
        for word in ("outcome", "time", "memory", "processes", "isolation", "seccomp"):
            self.assertIn(word, text)


class ResultObject(Case):
    KEYS = {"outcome", "exit_code", "signal", "detail", "stdout", "stderr", "stdout_truncated",
            "stderr_truncated", "encoding", "limits_hit", "files", "usage", "isolation", "denied"}

    def test_it_has_the_keys_of_the_contract_and_no_other(self):
        done, result = self.result_of(HELLO)
        self.assertEqual(set(result), self.KEYS)
        self.assertEqual(set(result["usage"]), {"wall_ms", "user_ms", "system_ms",
                                                "memory_peak_bytes", "pids_peak"})
        self.assertEqual(set(result["isolation"]), {"backend", "level", "tier", "cgroup", "network",
                                                    "seccomp", "rootless", "missing"})
        self.assertEqual(done.stderr, b"")
        self.assertEqual(done.stdout.count(b"\n"), 1)

    def test_bytes_that_are_no_text_are_base64(self):
        _, result = self.result_of("import sys\nsys.stdout.buffer.write(b'\\xff\\x00')")
        self.assertEqual((result["encoding"], result["stdout"]), ("base64", "/wA="))

    def test_usage_is_plausible(self):
        _, result = self.result_of("import time\nt = time.process_time()\n"
                                   "while time.process_time() - t < 0.3: pass\n")
        self.assertGreater(result["usage"]["wall_ms"], 250)
        used = result["usage"]["user_ms"] + result["usage"]["system_ms"]
        self.assertGreater(used, 250)


class Manners(Case):
    def test_nothing_is_left_behind(self):
        before = leftovers.snapshot()
        for text, options, _ in Outcomes.PROGRAMS.values():
            self.run_python(text, *options)
        self.assertEqual(leftovers.remaining(before), [])

    def test_usage_errors_leave_nothing_either(self):
        before = leftovers.snapshot()
        for _ in range(10):
            self.airlock("run", "--nonsense")
        self.assertEqual(leftovers.remaining(before), [])


if __name__ == "__main__":
    sys.exit(case.run_tests(__name__))
