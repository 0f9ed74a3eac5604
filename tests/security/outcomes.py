#!/usr/bin/env python3
"""Every outcome with its test and a twin that almost triggers it.

    tests/security/outcomes.py [--only PATTERN] [--as-user UID] [--mutate]

With `--mutate` each test runs once more with its mechanism switched off in a launcher that was
built for tests (AIRLOCK_JAIL_TESTHOOKS, default: airlock-jail-testhooks beside airlock): the test
must then fail, or it proves nothing. The last line is `N passed, N failed`.
"""

import argparse
import contextlib
import dataclasses
import os
import pathlib
import signal
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import judging  # noqa: E402
from support import airlock, leftovers  # noqa: E402

MIB = 1 << 20
# The output limit is kept by the caller, not by the launcher: it is switched off by a limit that is
# too high to be reached.
RAISED = "--output-limit 64m"


@dataclasses.dataclass(frozen=True)
class Case:
    name: str
    call: str
    options: str
    outcome: str
    exit_code: int | None = None
    signal: str | None = None
    hit: tuple = ()  # limits_hit, exactly
    mechanism: str | None = None  # switching it off must make this test fail
    needs: str = ""  # listed as missing where this limit cannot be kept or not be seen
    denied: str = ""  # a part of what must be listed as denied
    special: str = ""  # cancel after start, a file to run instead of the program
    lengths: tuple = ()  # bytes of stdout and stderr that must have come through
    seconds_max: float = 15.0


CASES = (
    # exited, with codes that look like something else
    Case("exits 0", "exit 0", "", "exited", 0),
    Case("exits 7", "exit 7", "", "exited", 7),
    Case("exits 137 as if killed", "exit 137", "", "exited", 137),
    Case("exits 120 as if timed out", "exit 120", "", "exited", 120),
    Case("exits 255", "exit 255", "", "exited", 255),
    # signalled, by its own hand
    Case("null pointer", "null-pointer", "", "signalled", signal="SIGSEGV"),
    Case("kills itself with SIGKILL", "die 9", "--memory 64m", "signalled", signal="SIGKILL"),
    Case("raises SIGSYS itself", "die 31", "", "signalled", signal="SIGSYS"),
    Case("raises SIGXCPU itself", "die 24", "", "signalled", signal="SIGXCPU"),
    Case("raises SIGXFSZ itself", "die 25", "", "signalled", signal="SIGXFSZ"),
    Case("raises SIGTERM itself", "die 15", "", "signalled", signal="SIGTERM"),
    Case("raises SIGINT itself", "die 2", "", "signalled", signal="SIGINT"),
    Case("aborts", "die 6", "", "signalled", signal="SIGABRT"),
    # wall time
    Case(
        "sleeps too long",
        "sleep 4000",
        "--timeout 500ms",
        "wall_timeout",
        hit=("wall",),
        mechanism="wall",
    ),
    Case("ends just before the timeout", "sleep 500", "--timeout 900ms", "exited", 0),
    # CPU time
    # Behind the clock of the group stands RLIMIT_CPU of the process, so one switched off is not
    # enough for a single process; for many it is.
    Case(
        "computes too long",
        "spin 4000",
        "--cpu-time 500ms --timeout 20s",
        "cpu_timeout",
        hit=("cpu",),
    ),
    Case(
        "children compute too long together",
        "spin 500 6",
        "--cpu-time 1s --timeout 20s",
        "cpu_timeout",
        hit=("cpu",),
        mechanism="cpu",
        needs="cgroup",
    ),
    Case(
        "computes just below the limit", "spin 500", "--cpu-time 900ms --timeout 20s", "exited", 0
    ),
    Case("sleeps past the CPU limit", "sleep 900", "--cpu-time 300ms --timeout 20s", "exited", 0),
    # memory
    Case(
        "needs too much memory",
        f"allocate {160 * MIB}",
        "--memory 64m",
        "out_of_memory",
        hit=("memory",),
        mechanism="cgroup_memory",
        needs="cgroup",
    ),
    Case("needs almost too much memory", f"allocate {52 * MIB}", "--memory 64m", "exited", 0),
    Case(
        "a child needs too much, its parent exits 0",
        f"child-allocates {160 * MIB}",
        "--memory 64m",
        "out_of_memory",
        hit=("memory",),
        mechanism="oom_watch",
        needs="cgroup",
    ),
    Case(
        "a child needs almost too much", f"child-allocates {48 * MIB}", "--memory 64m", "exited", 0
    ),
    Case(
        "an impossible mapping, handled", "map-fails 219902325555200", "--memory 64m", "exited", 0
    ),
    # output
    Case(
        "prints too much",
        f"print 1 {2 * MIB}",
        "--output-limit 1m",
        "output_limit",
        hit=("output",),
        mechanism=RAISED,
    ),
    Case(
        "prints too many errors",
        f"print 2 {2 * MIB}",
        "--output-limit 1m",
        "output_limit",
        hit=("output",),
        mechanism=RAISED,
    ),
    Case(
        "prints one byte too much",
        f"print 1 {MIB + 1}",
        "--output-limit 1m",
        "output_limit",
        hit=("output",),
        mechanism=RAISED,
    ),
    Case(
        "prints exactly the limit",
        f"print 1 {MIB}",
        "--output-limit 1m",
        "exited",
        0,
        lengths=(MIB, 0),
    ),
    Case(
        "prints exactly the limit as errors",
        f"print 2 {MIB}",
        "--output-limit 1m",
        "exited",
        0,
        lengths=(0, MIB),
    ),
    # disk
    Case(
        "fills the disk and fails",
        f"write {64 * MIB} 5",
        "--disk 16m",
        "disk_limit",
        5,
        hit=("disk",),
        mechanism="disk",
    ),
    Case(
        "fills the disk and copes", f"write {64 * MIB} 0", "--disk 16m", "exited", 0, hit=("disk",)
    ),
    Case(
        "fills a big disk and fails",
        f"write {200 * MIB} 5",
        "--disk 100m --memory 256m",
        "disk_limit",
        5,
        hit=("disk",),
        mechanism="disk",
    ),
    Case("writes much but not all", f"write {12 * MIB} 5", "--disk 16m", "exited", 0),
    Case(
        "makes too many files and fails",
        "files 70000 5",
        "--disk 64m --timeout 2m --cpu-time 1m",
        "disk_limit",
        5,
        hit=("inodes",),
        mechanism="disk",
    ),
    Case(
        "makes too many files and copes",
        "files 70000 0",
        "--disk 64m --timeout 2m --cpu-time 1m",
        "exited",
        0,
        hit=("inodes",),
    ),
    # processes
    Case(
        "starts too many and fails",
        "fork 200 6",
        "--pids 32",
        "process_limit",
        6,
        hit=("pids",),
        mechanism="cgroup_pids",
        needs="cgroup",
    ),
    Case(
        "starts too many and copes",
        "fork 200 0",
        "--pids 32",
        "exited",
        0,
        hit=("pids",),
        needs="cgroup",
    ),
    Case("starts almost too many", "fork 28 6", "--pids 32", "exited", 0),
    # denied
    Case(
        "a refused call, then fails",
        "denied ptrace 7",
        "",
        "denied",
        7,
        denied="ptrace",
        mechanism="seccomp",
    ),
    Case(
        "a refused mount, then fails",
        "denied mount 7",
        "",
        "denied",
        7,
        denied="mount",
        mechanism="seccomp",
    ),
    Case("probes quietly and copes", "denied ptrace 0", "", "exited", 0, denied="ptrace"),
    Case("an unknown call, then fails", "denied unknown 7", "", "exited", 7),
    Case("a call of i386", "foreign", "", "denied", mechanism="seccomp"),
    # setup_failed
    Case(
        "an interpreter that is not there",
        "#!/no/such/interpreter\n",
        "",
        "setup_failed",
        special="file",
    ),
    Case("a file that is no program", "\x7fELFnonsense", "", "setup_failed", special="file"),
    Case("exits as a shell does for a missing program", "exit 127", "", "exited", 127),
    # cancelled
    Case("cancelled, asked politely", "polite 3", "--timeout 20s", "cancelled", special="cancel"),
    Case(
        "cancelled, does not listen", "sleep 20000", "--timeout 30s", "cancelled", special="cancel"
    ),
)

# Probes of the threat table that must escape when one wall is taken away.
PROBE_MUTATIONS = (
    ("mounts", "unshare user", "seccomp"),
    ("kernel", "io-uring", "seccomp"),
    ("kernel", "foreign int80", "seccomp"),
    ("network", "vsock", "seccomp"),
    ("kernel", "user-fault user", "seccomp"),
)


def testhooks():
    return pathlib.Path(
        os.environ.get("AIRLOCK_JAIL_TESTHOOKS", airlock.binary().parent / "airlock-jail-testhooks")
    )


def mutated_environment(mechanism):
    return {"AIRLOCK_JAIL": str(testhooks()), "AIRLOCK_JAIL_TEST_DISABLE": mechanism}


def run_cancelled(case, caller):
    """Starts a run, sends SIGINT to airlock while the program runs, and waits for the result."""
    command = airlock.command_line(
        airlock.probe_binary("outcomes"), call_of(case), case.options.split()
    )
    started = time.monotonic()
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=caller.environment(),
        cwd="/",
        start_new_session=True,
        **caller.popen_options(),
    )
    time.sleep(0.7 * airlock.SLOW)
    process.send_signal(signal.SIGINT)
    done = airlock.Run(command, 0, b"", b"", 0)
    try:
        done.stdout, done.stderr = process.communicate(timeout=20 * airlock.SLOW)
    except subprocess.TimeoutExpired:
        done.stdout, done.stderr, more = airlock.kill(process)
        done.broken = f"{airlock.DID_NOT_END} after SIGINT{more}"
    done.returncode, done.seconds = process.returncode, time.monotonic() - started
    with contextlib.suppress(ValueError):
        done.result = airlock.json.loads(done.stdout)
    return done


def call_of(case):
    """The program's arguments, with times as much longer as this machine is slow."""
    words = case.call.split()
    if words[0] in ("sleep", "spin"):
        words[1] = str(round(int(words[1]) * airlock.SLOW))
    return words


def run_case(case, caller, env=None):
    if case.special == "cancel":
        return run_cancelled(case, caller)
    if case.special == "file":
        with judging.scratch(caller) as top:
            program = top / "program"
            program.write_text(case.call, encoding="latin1")
            program.chmod(0o755)
            return airlock.run(program, caller=caller, env=env)
    return airlock.run(
        airlock.probe_binary("outcomes"),
        call_of(case),
        case.options.split(),
        caller=caller,
        env=env,
        timeout_seconds=45,
    )


def stated(case, done):
    """The host cannot keep this limit or see it touched, and the result says so."""
    return bool(case.needs) and case.needs in done.result["isolation"]["missing"]


def problems(case, done):
    """What is wrong with a result, as texts; empty when it is as it should be."""
    if done.broken or not done.result:
        return [done.describe()]
    result, found = done.result, []
    if stated(case, done):
        said = (case.outcome, "exited", "signalled")
        return [] if result["outcome"] in said else [done.describe()]
    if result["outcome"] != case.outcome:
        found.append(f"outcome {result['outcome']}, not {case.outcome} ({result.get('detail')})")
    if case.exit_code is not None and result.get("exit_code") != case.exit_code:
        found.append(f"exit_code {result.get('exit_code')}, not {case.exit_code}")
    if case.signal is not None and result.get("signal") != case.signal:
        found.append(f"signal {result.get('signal')}, not {case.signal}")
    if tuple(result.get("limits_hit", ())) != case.hit:
        found.append(f"limits_hit {result.get('limits_hit')}, not {list(case.hit)}")
    observed = "denial_report" not in result["isolation"]["missing"]
    if case.denied and observed and case.denied not in str(result.get("denied")):
        found.append(f"denied {result.get('denied')} does not name {case.denied}")
    if case.lengths:
        lengths = tuple(len(result[stream]) for stream in ("stdout", "stderr"))
        if lengths != case.lengths or result["stdout_truncated"] or result["stderr_truncated"]:
            found.append(f"stream lengths {lengths}, not {case.lengths}")
    if case.outcome != "exited" and not result.get("detail"):
        found.append("no detail for a person")
    code = (
        (128 + getattr(signal, case.signal)) if case.signal else airlock.expected_exit_code(result)
    )
    if done.returncode != code:
        found.append(f"airlock exits {done.returncode}, not {code}")
    if done.seconds > case.seconds_max * airlock.SLOW:
        found.append(f"took {done.seconds:.1f} s")
    return found


def run_plain(caller, only, tally):
    before = leftovers.snapshot()
    for case in CASES:
        if only and only not in case.name:
            continue
        done = run_case(case, caller)
        wrong = problems(case, done)
        said = f"{done.outcome} in {done.seconds:.2f} s" if not wrong else "; ".join(wrong)
        if not wrong and stated(case, done):
            said += f"; not enforced or not seen here, the result says missing: {case.needs}"
        tally.say(not wrong, f"outcome: {case.name}", said)
    left = leftovers.remaining(before)
    tally.say(not left, "leftovers after outcomes", "; ".join(left[:5]) if left else "none")


def run_mutations(caller, only, tally):
    """Each test with its mechanism off: it must fail, and for no other reason."""
    if not testhooks().exists():
        tally.say(
            False, "mutations", f"{testhooks()} is missing, so no test is shown to be able to fail"
        )
        return
    for case in CASES:
        if case.mechanism is None or (only and only not in case.name):
            continue
        raised = case.mechanism.startswith("--")
        mutant = dataclasses.replace(case, options=case.mechanism) if raised else case
        done = run_case(mutant, caller, None if raised else mutated_environment(case.mechanism))
        wrong = problems(case, done)
        good = bool(wrong) and not done.broken and done.result is not None
        tally.say(
            good,
            f"mutation: {case.name}, " + ("with " if raised else "without ") + case.mechanism,
            f"fails as it should: {wrong[0]}"
            if good
            else f"{'passes all the same' if not wrong else wrong[0]}",
        )
    for domain, call, mechanism in PROBE_MUTATIONS:
        if only and only not in call:
            continue
        done = airlock.run(
            airlock.probe_binary(domain),
            call.split(),
            caller=caller,
            env=mutated_environment(mechanism),
        )
        said = judging.find_verdict(done.program_stdout)
        good = said is not None and said.escaped
        tally.say(
            good,
            f"mutation: {domain} {call}, without {mechanism}",
            f"escapes as it should: {said.why}" if good else done.describe(),
        )


def run_all(caller, only, tally):
    run_plain(caller, only, tally)
    run_mutations(caller, only, tally)


def main():
    import run as suite

    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--only", default="")
    parser.add_argument("--as-user", type=int, default=None, metavar="UID")
    parser.add_argument("--mutate", action="store_true", help="the mutations only")
    options = parser.parse_args()
    tally, caller = suite.Tally(), airlock.Caller(options.as_user)
    (run_mutations if options.mutate else run_plain)(caller, options.only, tally)
    print(f"{tally.passed} passed, {tally.failed} failed")
    sys.exit(0 if tally.failed == 0 else 1)


if __name__ == "__main__":
    main()
