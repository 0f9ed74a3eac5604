#!/usr/bin/env python3
"""The security suite: every probe inside the sandbox, with its control outside.

    tests/security/run.py [--only PATTERN] [--jobs N] [--controls] [--as-user UID] [--suite NAME]...
    tests/security/run.py --list | --table

Must run as root (the controls need it); `--as-user` has airlock itself run by an ordinary user,
which is how rootless is tested. AIRLOCK names the binary. Nothing beyond Python's own library is
needed. A probe passes when it is CONTAINED inside and ESCAPED in its control; a control that this
host cannot give (a kernel built without the thing) is said in so many words. After each group the
leftovers are counted. The last line is `N passed, N failed`; the exit status is 0 exactly when
none failed.
"""

import argparse
import concurrent.futures
import fnmatch
import os
import pathlib
import re
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import catalogue  # noqa: E402
import collecting  # noqa: E402
import judging  # noqa: E402
import special  # noqa: E402
from support import airlock, hostside, leftovers  # noqa: E402

KINDS = {
    "line": (judging.line_inside, judging.line_control),
    "outcome": (judging.outcome_inside, judging.line_control),
    "outlive": (judging.outlive_inside, judging.outlive_control),
    "collect": (collecting.collect_inside, collecting.collect_control),
    "leaked_fd": (special.leaked_fd_inside, special.leaked_fd_control),
    "stdin_read": (special.stdin_inside, special.stdin_control),
    "stdin_write": (special.stdin_inside, special.stdin_control),
    "stdout_read": (special.stdout_read_inside, special.stdout_read_control),
    "overwrite_self": (special.overwrite_self_inside, special.overwrite_self_control),
    "bad_bytes": (special.bad_bytes_inside, special.bad_bytes_control),
    "huge_arguments": (special.huge_arguments_inside, special.huge_control),
    "huge_environment": (special.huge_environment_inside, special.huge_control),
    "lock_across": (special.across_inside("lock-hold"), special.across_control("lock-hold")),
    "record_lock_across": (
        special.across_inside("record-hold"),
        special.across_control("record-hold"),
    ),
    "starve_instances": (special.starve_inside, judging.line_control),
    "watch_host": (special.watch_inside, special.watch_control),
    "terminal": (special.terminal_inside, special.terminal_control),
    "message_escapes": (special.message_escapes_inside, special.message_escapes_control),
}
# Kinds that measure time, use the machine up, or fork from many threads: one at a time.
ALONE = {"outcome", "outlive", "terminal", "watch_host", "starve_instances"}
MODEL = airlock.ROOT / "docs" / "threat-model.md"


class Tally:
    def __init__(self):
        self.passed = self.failed = self.absent = 0

    def say(self, good, name, text):
        self.passed += good
        self.failed += not good
        print(f"{'ok  ' if good else 'FAIL'} {name}: {text}", flush=True)


def try_probe(context, probe, controls_only):
    """(passed, control was absent, text) of one probe and its control."""
    inside_kind, control_kind = KINDS[probe.kind]
    try:
        control = control_kind(context, probe)
    except OSError as error:
        control = judging.Said("FAILED", str(error))
    absent = not control.escaped and bool(probe.may_lack) and control.contained
    shown = (
        "control escaped"
        if control.escaped
        else (
            f"control absent on this host ({probe.may_lack}; it says {control.why})"
            if absent
            else f"CONTROL {control.word}: {control.why}"
        )
    )
    if controls_only:
        return control.escaped or absent, absent, f"{shown}: {control.why}"
    try:
        inside = inside_kind(context, probe)
    except OSError as error:
        inside = judging.Said("FAILED", str(error))
    return (
        inside.contained and (control.escaped or absent),
        absent,
        (f"{inside.word.lower() if inside.contained else inside.word} ({inside.why}); {shown}"),
    )


def run_group(context, name, probes, options, tally):
    before = leftovers.snapshot()
    together = [p for p in probes if p.kind not in ALONE and name != "resources"]
    alone = [p for p in probes if p not in together]
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        found = dict(
            zip(together, pool.map(lambda p: try_probe(context, p, options.controls), together))
        )
    for probe in alone:
        found[probe] = try_probe(context, probe, options.controls)
    for probe in probes:
        good, absent, text = found[probe]
        tally.absent += absent
        tally.say(good, f"{probe.id} {probe.threat} [{probe.name()}]", text)
    left = leftovers.remaining(before)
    tally.say(not left, f"leftovers after {name}", "; ".join(left[:5]) if left else "none")


def check_model(tally):
    """docs/threat-model.md and the catalogue must agree, both ways, word for word."""
    text = MODEL.read_text(encoding="utf8") if MODEL.exists() else ""
    in_model = {
        m.group(1): m.group(0) for m in re.finditer(r"^\| (T-\d+) \|.*$", text, re.MULTILINE)
    }
    in_code = {row[0]: table_line(row) for row in catalogue.table_rows()}
    missing = sorted(set(in_code) - set(in_model))
    extra = sorted(set(in_model) - set(in_code))
    differ = sorted(i for i in set(in_code) & set(in_model) if in_code[i] != in_model[i])
    tally.say(
        not (missing or extra or differ),
        "docs/threat-model.md agrees with the probes",
        f"{len(in_code)} threats"
        if not (missing or extra or differ)
        else f"missing {missing[:5]}, without a probe {extra[:5]}, different {differ[:5]}",
    )


def table_line(row):
    return "| " + " | ".join(str(cell).replace("|", "\\|") for cell in row) + " |"


def print_table():
    print("| id | threat | stopped by | probe | control | tested on |")
    print("|---|---|---|---|---|---|")
    for row in catalogue.table_rows():
        print(table_line(row))


def chosen(probes, pattern):
    def matches(p):
        return any(
            fnmatch.fnmatch(text, pattern) or pattern in text for text in (p.id, p.name(), p.threat)
        )

    return [p for p in probes if not pattern or matches(p)]


def run_probes(options, tally):
    started = time.monotonic()
    with hostside.HostSide() as host:
        context = judging.Context(host, airlock.Caller(options.as_user))
        before = leftovers.snapshot()
        for name, probes in catalogue.groups().items():
            probes = chosen(probes, options.only)
            if probes:
                run_group(context, name, probes, options, tally)
        left = leftovers.remaining(before)
        tally.say(not left, "leftovers after all probes", "; ".join(left[:5]) if left else "none")
    if not options.only:
        check_model(tally)
    print(f"     {tally.absent} controls absent on this host, {time.monotonic() - started:.0f} s")


def run_outcomes(options, tally):
    import outcomes

    outcomes.run_all(airlock.Caller(options.as_user), options.only, tally)


def run_crashes(options, tally):
    import crash

    crash.run_all(airlock.Caller(options.as_user), crash.COUNT, None, tally)


def run_durable(options, tally):
    import crash_durable

    crash_durable.run_all(airlock.Caller(options.as_user), crash_durable.COUNT, None, tally)


def run_hostile(options, tally):
    import hostile_caller

    hostile_caller.run_all(airlock.Caller(options.as_user), tally)


def run_bursts(options, tally):
    import burst

    caller = airlock.Caller(options.as_user)
    burst.run_all(caller, burst.ROUNDS, burst.AT_ONCE, None, tally)


SUITES = {
    "probes": run_probes,
    "outcomes": run_outcomes,
    "crash": run_crashes,
    "durable": run_durable,
    "hostile": run_hostile,
    "burst": run_bursts,
}


def parse_options():
    parser = argparse.ArgumentParser(description="Runs the security suite.")
    parser.add_argument("--only", default="", help="id, name or threat; a pattern or a part of it")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--controls", action="store_true", help="run the controls only")
    parser.add_argument(
        "--as-user", type=int, default=None, metavar="UID", help="airlock runs rootless"
    )
    parser.add_argument("--suite", action="append", choices=sorted(SUITES), help="default: all")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--table", action="store_true")
    return parser.parse_args()


def main():
    options = parse_options()
    sys.stdout.reconfigure(errors="backslashreplace")
    if options.table:
        return print_table()
    if options.list:
        for name, probes in catalogue.groups().items():
            for p in probes:
                print(f"{p.id:6} {name:10} {p.threat} [{p.name()}]")
        return None
    if os.geteuid() != 0:
        sys.exit(
            "run.py: the controls attack this machine as root; run as root "
            "(airlock itself can run as another user with --as-user)"
        )
    needed = [] if options.controls else [airlock.binary()]
    for path in [*needed, airlock.probe_binary("files")]:
        if not path.exists():
            sys.exit(f"run.py: {path} is missing; build it with ./dev build, or set AIRLOCK")
    tally = Tally()
    for name in options.suite or (["probes"] if options.controls or options.only else list(SUITES)):
        SUITES[name](options, tally)
    print(f"{tally.passed} passed, {tally.failed} failed")
    sys.exit(0 if tally.failed == 0 and tally.passed > 0 else 1)


if __name__ == "__main__":
    main()
