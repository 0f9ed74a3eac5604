#!/usr/bin/env python3
"""`airlock run` on a terminal: the program gets a pty of its own, the user's comes back unharmed.

    tests/blackbox/terminal_test.py

Plays a user on a pty. AIRLOCK names the binary to test. Prints one line per test, then
`N passed, N failed`.
"""

import fcntl
import os
import pathlib
import pty
import select
import shutil
import signal
import struct
import sys
import tempfile
import termios
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from support import airlock  # noqa: E402

SECONDS_MAX = 20 * float(os.environ.get("AIRLOCK_TEST_SLOW", "1"))


def set_size(fd, rows, columns):
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


class Session:
    """One command on a terminal. `replies` says what is typed once which text has been seen."""

    def __init__(self, command, replies=(), rows=30, columns=100):
        self.output = b""
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.environ["TERM"] = "xterm"
            time.sleep(0.1)  # until the size is set
            os.execvp(command[0], command)
        set_size(self.fd, rows, columns)
        self.settings = termios.tcgetattr(self.fd)
        self._play(list(replies))
        self.settings_after = termios.tcgetattr(self.fd)
        os.close(self.fd)

    def _play(self, replies):
        deadline = time.monotonic() + SECONDS_MAX
        while time.monotonic() < deadline:
            if select.select([self.fd], [], [], 0.05)[0]:
                try:
                    self.output += os.read(self.fd, 65536)
                except OSError:
                    break
            while replies and replies[0][0] in self.output:
                action = replies.pop(0)[1]
                if callable(action):
                    action(self)
                else:
                    os.write(self.fd, action)
        else:
            os.kill(self.pid, signal.SIGKILL)
        self.exit_code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


class Terminal(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="cli-test-"))
        self.addCleanup(shutil.rmtree, self.folder)

    def write(self, text, name="prog.py"):
        (self.folder / name).write_text(text, encoding="utf8")
        return str(self.folder / name)

    def session(self, text, *options, name="prog.py", **how):
        command = [str(airlock.binary()), "run", *options, self.write(text, name)]
        return Session(command, **how)

    def test_the_program_has_a_terminal_of_its_own_of_the_same_size(self):
        done = self.session("import os\nprint([os.isatty(i) for i in (0, 1, 2)],\n"
                            "os.get_terminal_size(), os.environ['TERM'])", rows=33, columns=77)
        self.assertIn(b"[True, True, True] os.terminal_size(columns=77, lines=33) xterm",
                      done.output)

    def test_the_users_terminal_cannot_be_opened(self):
        done = self.session("import os\nprint(os.ttyname(0), sorted(os.listdir('/dev/pts')))")
        self.assertIn(b"/dev/pts/0 ['0', 'ptmx']", done.output)
        self.assertEqual(done.exit_code, 0)

    def test_what_is_typed_arrives(self):
        done = self.session("print('hi ' + input('name? '))", replies=[(b"name? ", b"bob\r")])
        self.assertIn(b"hi bob", done.output)

    def test_ctrl_c_is_a_key_of_the_programs_terminal(self):
        done = self.session("import time\ntry:\n  print('ready', flush=True)\n  time.sleep(30)\n"
                            "except KeyboardInterrupt: raise SystemExit(9)",
                            "--timeout", "60s", replies=[(b"ready", b"\x03")])
        self.assertEqual(done.exit_code, 9)

    def test_change_of_size_is_passed_on(self):
        done = self.session("import os, signal\n"
                            "signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGWINCH])\n"
                            "print('ready', flush=True)\n"
                            "signal.sigwait([signal.SIGWINCH])\nprint(os.get_terminal_size())",
                            replies=[(b"ready", lambda session: set_size(session.fd, 11, 22))])
        self.assertIn(b"columns=22, lines=11", done.output)

    def test_the_terminal_is_as_before_whatever_the_end(self):
        for text, options in (("", ()), ("import os\nos.kill(os.getpid(), 11)", ()),
                              ("import time\ntime.sleep(60)", ("--timeout", "300ms")),
                              ("while True: print('x' * 9999)", ("--output-limit", "64k"))):
            done = self.session(text, *options)
            self.assertEqual(done.settings, done.settings_after, text)

    def test_the_terminal_is_as_before_after_a_signal(self):
        done = self.session("import time\nprint('ready', flush=True)\ntime.sleep(60)",
                            "--timeout", "60s",
                            replies=[(b"ready", lambda user: os.kill(user.pid, signal.SIGTERM))])
        self.assertEqual(done.settings, done.settings_after)
        self.assertEqual(done.exit_code, airlock.EXIT_CODES["cancelled"])

    def test_the_program_cannot_command_the_users_terminal(self):
        done = self.session("print('\\x1b]52;c;QUJD\\x07\\x1b]0;title\\x07\\x1b[21tclean')\n"
                            "print('\\x1b[31mred')")
        self.assertIn(b"clean\r\n\x1b[31mred", done.output)
        for part in (b"52;c", b"title", b"\x1b[21t"):
            self.assertNotIn(part, done.output)

    def test_modes_that_the_program_set_are_reset(self):
        done = self.session("print('\\x1b[?1049h\\x1b[?1000h\\x1b[?25l')")
        for part in (b"\x1b[?1049l", b"\x1b[?1000l", b"\x1b[?25h"):
            self.assertIn(part, done.output)

    def test_compiler_messages_are_whole_lines(self):
        done = self.session("int main(void) { return oops; }\n", name="main.c")
        self.assertNotRegex(done.output, rb"[^\r]\n")
        self.assertIn(b"oops", done.output)

    def test_output_to_a_file_needs_no_pty(self):
        target = self.folder / "out"
        prog = self.write("import os\nprint(os.isatty(0), os.isatty(1))")
        Session(["/bin/sh", "-c", f"'{airlock.binary()}' run '{prog}' > '{target}'"])
        self.assertEqual(target.read_text(), "False False\n")


def main():
    suite = unittest.defaultTestLoader.loadTestsFromModule(sys.modules[__name__])
    result = unittest.TextTestRunner(stream=sys.stdout, verbosity=2).run(suite)
    failed = len({str(test) for test, _ in result.failures + result.errors})
    print(f"{result.testsRun - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
