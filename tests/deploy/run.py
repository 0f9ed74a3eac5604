#!/usr/bin/env python3
"""What installs Airlock: images, compose files, units, scripts, manifests, workflows.

    tests/deploy/run.py [NAME...]     # kubernetes image ...; default: all

Each tests/deploy/*_test.py in a process of its own, their sums added up. Needs root, npm, dockerd
and mmdebstrap, and the package sources that this machine has.
"""

import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "blackbox"))
import run as blackbox  # noqa: E402

if __name__ == "__main__":
    blackbox.HERE = HERE
    # The first time, roots of Debian are made.
    blackbox.SUITE_SECONDS_MAX = 1000
    sys.exit(blackbox.main())
