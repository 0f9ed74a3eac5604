#!/usr/bin/env python3
"""Runs one `airlock run --json` and prints its result as a row, for examples/demo.sh.

    verdict.py EXPECTED PURPOSE COMMAND...

EXPECTED is an outcome ("wall_timeout"), or an outcome and what stdout must hold
("exited:reached 0"). Exit status 0 if that is what came out. DEMO_COLOR=1 colours the row.
"""

import json
import os
import subprocess
import sys

COLOR = os.environ.get("DEMO_COLOR") == "1"
SHOWN_LINES = 12
# Without these a limit holds, by an rlimit, but nothing says that it was hit.
UNSEEN_WITHOUT = {"out_of_memory": {"cgroup", "cgroup_memory"},
                  "process_limit": {"cgroup", "cgroup_pids"}}


def paint(code, text):
    return f"\033[{code}m{text}\033[0m" if COLOR else text


def plain(text):
    """Programs are hostile: nothing of theirs may steer the terminal."""
    return "".join(c if c.isprintable() else "?" for c in text)


def main():
    expected, purpose, *command = sys.argv[1:]
    outcome, _, wanted = expected.partition(":")
    done = subprocess.run(command + ["--json"], capture_output=True, text=True, errors="replace",
                          stdin=subprocess.DEVNULL)
    try:
        result = json.loads(done.stdout)
    except ValueError:
        print(f"  no result: {plain(done.stderr.strip())}")
        return 1
    right = result["outcome"] == outcome and wanted in result["stdout"]
    detail = plain(result["detail"] or "").removeprefix(f"{outcome}: ")
    unseen = UNSEEN_WITHOUT.get(outcome, set()) & set(result["isolation"]["missing"])
    if unseen and result["outcome"] == "exited":
        right, detail = True, "held, but this host does not tell: airlock doctor has the fix"
    mark = paint("32", "ok") if right else paint("31", "!!")
    verdict = paint("33" if result["outcome"] != "exited" else "32", f"{result['outcome']:<14}")
    print(f"  {mark} {purpose:<38} {verdict} {result['usage']['wall_ms']:>7.0f} ms  {detail}")
    if wanted or not right:
        text = result["stdout"] + ("" if right else result["stderr"])
        for line in text.splitlines()[:SHOWN_LINES]:
            print(paint("2", "       " + plain(line)[:120]))
    if not right:
        print(paint("31", f"       expected {expected}"))
    return 0 if right else 1


if __name__ == "__main__":
    sys.exit(main())
