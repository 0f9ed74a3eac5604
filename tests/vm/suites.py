"""What runs in the test machine: one entry per suite and user, in this order.

A suite is a program below the payload (a small copy of this repository) that prints a last line
`N passed, M failed` and exits 0 exactly when M is 0. Limits are seconds of the clock; a
suite that passes its limit is killed and counts as failed.
"""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Suite:
    name: str
    user: str  # "root" or "tester", the ordinary user with subordinate ids
    cgroup: str  # "system", or "delegated": below the cgroup that tester owns
    argv: tuple[str, ...]
    timeout_seconds: int


UNIT = ("python3", "tests/vm/guest/unit_tests.py")
KERNEL_FOLDERS = ("sys", "jail", "backend_native", "host")
SECURITY = ("python3", "tests/security/run.py")

SUITES = (
    Suite("selfcheck-root", "root", "system", ("python3", "tests/vm/guest/selfcheck.py"), 60),
    Suite("selfcheck-user", "tester", "delegated", ("python3", "tests/vm/guest/selfcheck.py"), 60),
    Suite("unit-root", "root", "system", (*UNIT, *KERNEL_FOLDERS), 600),
    # The tests of the other folders that talk to the kernel say themselves that they need root.
    Suite("unit-user", "tester", "delegated", (*UNIT, "jail", "host"), 300),
    # What this kernel and cgroup v2 can change: what sandboxes are made of, their limits, outcomes
    # and ends, and who is handed a used one. README.md says why not the others.
    Suite("blackbox", "root", "system",
          ("python3", "tests/blackbox/run.py", "doctor", "grants", "network", "run_cli",
           "run_process", "serve", "terminal"), 1000),
    Suite("security-root", "root", "system", SECURITY, 1800),
    Suite("security-user", "root", "delegated",
          (*SECURITY, "--as-user", "1000", "--suite", "probes"), 1500),
)

# On a kernel of our own with core scheduling, which takes long to build the first time.
CORE_SUITES = (
    Suite("core-scheduling", "root", "system", ("python3", "tests/vm/guest/core_scheduling.py"),
          120),
)


def of_command(text, user):
    """A look around by hand: its status is its verdict."""
    counted = (f"if ({text}); then echo '1 passed, 0 failed'; "
               "else echo '0 passed, 1 failed'; exit 1; fi")
    cgroup = "system" if user == "root" else "delegated"
    return Suite("command", user, cgroup, ("bash", "-c", counted), 600)


def selected(names):
    """The suites whose name is in `names` or begins with one of them; all when `names` is empty."""
    if not names:
        return list(SUITES)
    chosen = [suite for suite in SUITES
              if any(suite.name == name or suite.name.startswith(name + "-") for name in names)]
    for name in names:
        if not any(suite.name == name or suite.name.startswith(name + "-") for suite in SUITES):
            known = ", ".join(suite.name for suite in SUITES)
            raise ValueError(f"no suite is called {name!r}; there are: {known}")
    return chosen
