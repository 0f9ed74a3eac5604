#!/usr/bin/env python3
"""Checks the source tree against the style rules.

    tests/style/style_test.py [--root FOLDER] [--launcher]

Prints one line per finding and, last, how many rules hold; the exit status is 1 if one does not.
`--launcher` prints which files are in the launcher, with their lines. That every rule can fail is
shown by style_rules_test.py.
"""

import argparse
import pathlib
import sys

import style_rules

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent


def main():
    parser = argparse.ArgumentParser(description="Check the source tree against the style rules.")
    parser.add_argument("--root", type=pathlib.Path, default=ROOT)
    parser.add_argument("--launcher", action="store_true", help="print the launcher's files")
    arguments = parser.parse_args()
    tree = style_rules.Tree(arguments.root)
    if arguments.launcher:
        files = style_rules.launcher_files(tree)
        for path in files:
            print(f"{tree.code_line_count(path):6} {path}")
        print(f"{sum(tree.code_line_count(path) for path in files):6} lines of code, at most "
              f"{style_rules.LAUNCHER_LINES_MAX - 1}")
        return 0
    broken = 0
    for name, rule in style_rules.RULES.items():
        findings = list(rule(tree))
        broken += bool(findings)
        for finding in findings:
            print(f"{finding} [{name}]")
    print(f"{len(style_rules.RULES) - broken} passed, {broken} failed")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
