"""Runs the real `airlock` binary and gives back what it said, as one value.

AIRLOCK names the binary (default: build/release/bin/airlock of this tree). With `json_result` the
stdout of airlock must be exactly one JSON object; anything else is an error of airlock and raises.
"""

import dataclasses
import json
import os
import pathlib
import re
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
DEFAULT = ROOT / "build" / "release" / "bin" / "airlock"

# Exit codes of `airlock run` for outcomes other than `exited` and `signalled`.
EXIT_CODES = {
    "wall_timeout": 120,
    "cpu_timeout": 121,
    "out_of_memory": 122,
    "output_limit": 123,
    "disk_limit": 124,
    "process_limit": 118,
    "denied": 119,
    "setup_failed": 117,
    "cancelled": 130,
}
USAGE_ERROR = 2
DID_NOT_END = "airlock did not end"
AFTER_KILL_SECONDS = 10
# How much longer everything takes here than on an ordinary machine: an emulated one sets it.
SLOW = float(os.environ.get("AIRLOCK_TEST_SLOW", "1"))
DURATION = re.compile(r"(\d+)(ms|s)")
HOST_ERROR = 125


def binary():
    return pathlib.Path(os.environ.get("AIRLOCK", DEFAULT)).resolve()


def probes_directory():
    return pathlib.Path(os.environ.get("AIRLOCK_PROBES", binary().parent / "probes"))


def probe_binary(domain):
    return probes_directory() / f"probe_{domain}"


@dataclasses.dataclass
class Run:
    command: list
    returncode: int
    stdout: bytes
    stderr: bytes
    seconds: float
    result: dict | None = None
    broken: str = ""  # why the result cannot be believed: hung, not JSON, ...

    @property
    def outcome(self):
        return self.result.get("outcome", "") if self.result else ""

    @property
    def program_stdout(self):
        text = (
            self.result.get("stdout", "") if self.result else self.stdout.decode("utf8", "replace")
        )
        return text

    def describe(self):
        if self.broken:
            return f"{self.broken}; exit {self.returncode}; stderr: {tail(self.stderr)}"
        if self.result is None:
            return f"exit {self.returncode}; stderr: {tail(self.stderr)}"
        keys = ("outcome", "exit_code", "signal", "detail", "limits_hit")
        said = {key: self.result.get(key) for key in keys if self.result.get(key) not in (None, [])}
        return f"{said} after {self.seconds:.1f} s; stdout: {self.program_stdout[-200:]!r}"


def tail(data, size=300):
    return data.decode("utf8", "replace").strip()[-size:]


@dataclasses.dataclass
class Caller:
    """Who runs airlock: the user of the tests, or an ordinary one (rootless)."""

    uid: int | None = None

    def popen_options(self):
        if self.uid is None:
            return {}
        return {"user": self.uid, "group": self.uid, "extra_groups": []}

    def environment(self, extra=None):
        env = dict(os.environ)
        if self.uid is not None:
            env["HOME"] = "/tmp"
            env.pop("XDG_RUNTIME_DIR", None)
        env.update(extra or {})
        return env


def stretched(words):
    """The same words, with every duration among them as much longer as this machine is slow."""
    found = []
    for word in map(str, words):
        match = DURATION.fullmatch(word)
        found.append(f"{round(int(match.group(1)) * SLOW)}{match.group(2)}" if match else word)
    return found


def command_line(program, args=(), options=(), json_result=True):
    command = [str(binary()), "run", *stretched(options)]
    if json_result:
        command.append("--json")
    command.append(str(program))
    if args:
        command += ["--", *map(str, args)]
    return command


def kill(process):
    """(stdout, stderr, what else there is to say) of one that hangs: others may hold its output."""
    process.kill()
    try:
        return *process.communicate(timeout=AFTER_KILL_SECONDS * SLOW), ""
    except subprocess.TimeoutExpired:
        return b"", b"", ", and what is left of it holds its output open"


def run(
    program,
    args=(),
    options=(),
    caller=Caller(),
    json_result=True,
    stdin=None,
    env=None,
    timeout_seconds=60,
):
    """Runs airlock to its end. A run that hangs is killed and comes back as `broken`."""
    command = command_line(program, args, options, json_result)
    started = time.monotonic()
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL if stdin is None else stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=caller.environment(env),
        cwd="/",
        **caller.popen_options(),
    )
    broken = ""
    try:
        out, err = process.communicate(timeout=timeout_seconds * SLOW)
    except subprocess.TimeoutExpired:
        broken = f"{DID_NOT_END} within {timeout_seconds * SLOW:.0f} s"
        out, err, more = kill(process)
        broken += more
    done = Run(command, process.returncode, out, err, time.monotonic() - started, broken=broken)
    if json_result and not broken:
        try:
            done.result = json.loads(out)
        except ValueError as error:
            done.broken = f"stdout is not JSON: {error}"
    return done


def expected_exit_code(result):
    """The documented exit code of airlock for a result object."""
    outcome = result.get("outcome")
    if outcome == "exited":
        return result.get("exit_code")
    return EXIT_CODES.get(outcome)
