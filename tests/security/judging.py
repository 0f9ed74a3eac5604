"""The plain kinds of probes: run inside, run the control, and say what each showed."""

import contextlib
import dataclasses
import os
import pathlib
import random
import re
import resource
import shutil
import signal
import subprocess
import tempfile

from support import airlock

VERDICT = re.compile(r"(ESCAPED|CONTAINED|INCONCLUSIVE)\b ?(.*)$", re.MULTILINE)
CONTROL_SECONDS = round(60 * airlock.SLOW)
# For probes that are not about time: a busy disk makes some of them slower than the default limit.
PATIENCE = ("--timeout", "25s")


@dataclasses.dataclass
class Said:
    """What a probe showed: `word` is ESCAPED, CONTAINED, INCONCLUSIVE or FAILED."""

    word: str
    why: str

    @property
    def contained(self):
        return self.word == "CONTAINED"

    @property
    def escaped(self):
        return self.word == "ESCAPED"


@dataclasses.dataclass
class Context:
    host: object
    caller: airlock.Caller


def marker():
    return f"probe-marker-{os.getpid()}-{random.randrange(10**9)}"


def find_verdict(text):
    found = VERDICT.findall(text)
    return Said(*found[-1]) if found else None


@contextlib.contextmanager
def scratch(caller=None):
    path = pathlib.Path(tempfile.mkdtemp(prefix="host-scratch-"))
    path.chmod(0o777)
    if caller is not None and caller.uid is not None:
        os.chown(path, caller.uid, caller.uid)
    try:
        yield path
    finally:
        # Deeper than Python's recursion and longer than a path: only rm copes with these.
        subprocess.run(["rm", "-rf", "--", str(path), f"{path}.aside"], check=False)


def run_inside(context, probe, call=None, program=None, **more):
    call = call or context.host.fill(probe.call, marker="unused")
    program = program or airlock.probe_binary(probe.domain)
    options = [*probe.options, *more.pop("options", ())]
    if "--timeout" not in options:
        options += PATIENCE
    env = {"AIRLOCK_CANARY": "of-the-host", **more.pop("env", {})}
    return airlock.run(program, call, options, caller=context.caller, env=env, **more)


def _raise_soft_limits():
    for kind in (resource.RLIMIT_CORE, resource.RLIMIT_NOFILE):
        hard = resource.getrlimit(kind)[1]
        resource.setrlimit(kind, (hard, hard))


def control_command(context, probe, **values):
    call = context.host.fill(probe.control_call or probe.call, **values)
    command = [str(airlock.probe_binary(probe.domain)), *call]
    if probe.control != "root":
        command = [str(airlock.probes_directory() / "control_in"), probe.control, *command]
    return command


def run_outside(command, cwd, **more):
    env = {**os.environ, "AIRLOCK_CANARY": "of-the-host", **more.pop("env", {})}
    more.setdefault("stdin", subprocess.DEVNULL)
    more.setdefault("stdout", subprocess.PIPE)
    try:
        done = subprocess.run(
            command,
            cwd=cwd,
            env=env,
            stderr=subprocess.STDOUT,
            timeout=CONTROL_SECONDS,
            check=False,
            preexec_fn=_raise_soft_limits,
            **more,
        )
    except subprocess.TimeoutExpired:
        return Said("FAILED", f"the control did not end within {CONTROL_SECONDS} s")
    text = (done.stdout or b"").decode("utf8", "replace")
    return find_verdict(text) or Said(
        "FAILED", f"no verdict, exit {done.returncode}: {text[-200:]!r}"
    )


def weaker(probe, done):
    """What a host that cannot enforce this must say, and says: a weakening is never silent."""
    for name in probe.weaker_without.split():
        if name in done.result["isolation"]["missing"]:
            return Said("CONTAINED", f"not enforced here; the result says missing: {name}")
    return None


def judge(probe, done):
    """The verdict of a run inside, by the line it printed and the outcome it had."""
    if done.broken or not done.result:
        return Said("FAILED", done.describe())
    said = find_verdict(done.program_stdout)
    if weaker(probe, done):
        return weaker(probe, done)
    if said and said.escaped:
        return said
    if done.outcome not in probe.outcomes:
        return Said(
            "FAILED", f"outcome {done.describe()}, expected one of {' '.join(probe.outcomes)}"
        )
    if done.outcome != "exited":
        return Said("CONTAINED", f"outcome {done.outcome}")
    return said or Said("FAILED", f"no verdict: {done.describe()}")


def line_inside(context, probe):
    return judge(probe, run_inside(context, probe))


def line_control(context, probe):
    with scratch() as cwd:
        return run_outside(control_command(context, probe, marker=marker()), cwd)


def outcome_inside(context, probe):
    """No line to read: the verdict is the outcome, and that it came in time."""
    done = run_inside(context, probe, timeout_seconds=40)
    if done.broken or not done.result:
        return Said("FAILED", done.describe())
    if weaker(probe, done):
        return weaker(probe, done)
    if done.outcome not in probe.outcomes:
        return Said(
            "ESCAPED", f"outcome {done.describe()}, expected one of {' '.join(probe.outcomes)}"
        )
    return Said("CONTAINED", f"outcome {done.outcome} after {done.seconds:.1f} s")


def processes_named(name):
    """Pids whose command line carries a marker."""
    found = []
    for entry in os.listdir("/proc"):
        with contextlib.suppress(OSError):
            if (
                entry.isdigit()
                and name.encode() in pathlib.Path(f"/proc/{entry}/cmdline").read_bytes()
            ):
                if int(entry) != os.getpid():
                    found.append(int(entry))
    return found


def end_processes_named(name):
    for pid in processes_named(name):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def outlive_inside(context, probe):
    name = marker()
    done = run_inside(
        context, probe, call=context.host.fill(probe.call, marker=name), timeout_seconds=30
    )
    left = processes_named(name)
    end_processes_named(name)
    if done.broken or done.outcome != "exited" or done.result["exit_code"] != 0:
        return Said("FAILED", done.describe())
    if "LEFT" not in done.program_stdout:
        return Said("FAILED", f"the probe left nothing: {done.describe()}")
    if left:
        return Said("ESCAPED", f"{len(left)} processes outlived the run")
    if done.seconds > 8 * airlock.SLOW:
        return Said("ESCAPED", f"the run was held up for {done.seconds:.1f} s")
    return Said("CONTAINED", "nothing outlived the run")


def outlive_control(context, probe):
    name = marker()
    with scratch() as cwd, open(cwd / "out", "wb") as out:
        run_outside(control_command(context, probe, marker=name), cwd, stdout=out)
        left = processes_named(name)
        end_processes_named(name)
    return (
        Said("ESCAPED", f"{len(left)} processes live on")
        if left
        else Said("CONTAINED", "none left")
    )


def copy_probe(probe, directory, context):
    copy = directory / "program"
    shutil.copy(airlock.probe_binary(probe.domain), copy)
    copy.chmod(0o755)
    if context.caller.uid is not None:
        os.chown(copy, context.caller.uid, context.caller.uid)
    return copy
