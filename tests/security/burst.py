#!/usr/bin/env python3
"""Many runs at once, honest and hostile ones mixed: each gets its own verdict, nothing stays.

    tests/security/burst.py [--rounds N] [--at-once N] [--seed S] [--as-user UID]

Each round starts so many runs at once and waits for all of them. What they do comes from the table
of outcomes.py, but for the cases that are about time, which a crowded machine stretches. The last
line is `N passed, N failed`.
"""

import argparse
import concurrent.futures
import dataclasses
import pathlib
import random
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import outcomes  # noqa: E402
from support import airlock, leftovers  # noqa: E402

ROUNDS = 1
AT_ONCE = round(100 / airlock.SLOW)
# So many at once take longer than each alone.
PATIENCE = " --timeout 60s --cpu-time 60s"
ABOUT_TIME = ("wall_timeout", "cpu_timeout", "cancelled")


def crowd():
    return [
        case
        for case in outcomes.CASES
        if case.outcome not in ABOUT_TIME and "--timeout" not in case.options
    ]


def run_one(case, caller):
    done = outcomes.run_case(dataclasses.replace(case, options=case.options + PATIENCE), caller)
    return case, [text for text in outcomes.problems(case, done) if not text.startswith("took ")]


def run_round(caller, at_once, rng, tally, name):
    cases = [rng.choice(crowd()) for _ in range(at_once)]
    with concurrent.futures.ThreadPoolExecutor(at_once) as pool:
        wrong = [
            f"{case.name}: {'; '.join(texts)}"
            for case, texts in pool.map(lambda case: run_one(case, caller), cases)
            if texts
        ]
    said = f"{at_once} of {at_once} verdicts are right" if not wrong else " | ".join(wrong[:3])
    tally.say(not wrong, name, said)


def run_all(caller, rounds, at_once, seed, tally):
    seed = random.randrange(2**32) if seed is None else seed
    rng = random.Random(seed)
    print(f"     burst: seed {seed}", flush=True)
    before = leftovers.snapshot()
    for number in range(rounds):
        run_round(caller, at_once, rng, tally, f"burst {number + 1}/{rounds}")
    left = leftovers.remaining(before)
    tally.say(not left, "leftovers after bursts", "; ".join(left[:5]) if left else "none")


def main():
    import run as suite

    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--at-once", type=int, default=AT_ONCE)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--as-user", type=int, default=None, metavar="UID")
    options = parser.parse_args()
    tally, caller = suite.Tally(), airlock.Caller(options.as_user)
    run_all(caller, options.rounds, options.at_once, options.seed, tally)
    print(f"{tally.passed} passed, {tally.failed} failed")
    sys.exit(0 if tally.failed == 0 else 1)


if __name__ == "__main__":
    main()
