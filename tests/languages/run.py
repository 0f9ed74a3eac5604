#!/usr/bin/env python3
"""Runs programs in every language through `airlock run` and compares what they did.

    AIRLOCK=build/release/bin/airlock tests/languages/run.py [LANGUAGE...]

Each language has a program `report` that reads data.csv, its arguments and stdin, uses its
standard library (sorting, hashing, regular expressions, JSON, threads, as far as it has them) and
writes /output/result.txt; a program `crash` that fails at run time; and, where there is a
compiler, a program `broken` that does not compile. A toolchain that is missing is a failed test,
never a skipped one. One line per test; the last line is `N passed, N failed`.
"""

import dataclasses
import hashlib
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
AIRLOCK = os.environ.get("AIRLOCK", str(ROOT / "build/release/bin/airlock"))
DATA = HERE / "data.csv"
ARGUMENTS = ["two words", "{source}", "ünï", "$HOME;`x`"]
TIMEOUT_SECONDS = 300


@dataclasses.dataclass(frozen=True)
class Expected:
    extension: str
    digest: str = "sha256"       # what its standard library has; fnv1a is written out by hand
    json: bool = False           # its standard library writes JSON
    crash_outcome: str = "exited"
    crash_code: int | None = 1
    crash_text: str = ""         # pattern in stderr
    broken_text: str | None = None  # pattern in the compiler's messages; None: nothing is compiled


LANGUAGES = {
    "python": Expected(".py", json=True, crash_text=r"crash\.py.*line 2[\s\S]*ZeroDivisionError"),
    "javascript": Expected(".js", json=True, crash_text=r"crash\.js:2[\s\S]*TypeError"),
    "typescript": Expected(".ts", json=True, crash_text=r"crash\.ts:2[\s\S]*TypeError",
                           broken_text=r"broken\.ts(\(1,23\)|:1)[\s\S]*[Ee]xpression expected"),
    "bash": Expected(".sh", crash_text=r"crash\.sh: line 2: nothing: unbound variable"),
    "c": Expected(".c", digest="fnv1a", crash_outcome="signalled", crash_code=None,
                  crash_text="before the crash",
                  broken_text=r"broken\.c:2:.*missing_symbol.* undeclared"),
    "c++": Expected(".cc", digest="fnv1a", crash_outcome="signalled", crash_code=None,
                    crash_text=r"std::out_of_range",
                    broken_text=r"broken\.cc:4:.*vector.* is not a member of"),
    "rust": Expected(".rs", digest="fnv1a", crash_code=101,
                     crash_text=r"panicked at[\s\S]*index out of bounds",
                     broken_text=r"error\[E0382\][\s\S]*broken\.rs:4"),
    "go": Expected(".go", json=True, crash_code=2,
                   crash_text=r"panic: assignment to entry in nil map[\s\S]*crash\.go:7",
                   broken_text=r"broken\.go:6:.*cannot use \"three\""),
    "java": Expected(".java", crash_text=r"ArrayIndexOutOfBoundsException[\s\S]*Crash\.java:5",
                     broken_text=r"Broken\.java:3: error: incompatible types"),
    "ruby": Expected(".rb", json=True, crash_text=r"crash\.rb:2:.*undefined method `?'?upcase"),
    "perl": Expected(".pl", json=True, crash_code=255, crash_text=r"crash\.pl line 3"),
    "php": Expected(".php", json=True, crash_code=255,
                    crash_text=r"member function method\(\) on null in /workspace/crash\.php:3"),
    "lua": Expected(".lua", digest="fnv1a",
                    crash_text=r"crash\.lua:2: attempt to index a nil value"),
}


class Failure(Exception):
    """Why a test failed."""


def check(condition, message):
    if not condition:
        raise Failure(message)


def call(arguments, stdin=b""):
    """Exit code, stdout and stderr of airlock."""
    done = subprocess.run([AIRLOCK, *map(str, arguments)], input=stdin, capture_output=True,
                          timeout=TIMEOUT_SECONDS)
    return done.returncode, done.stdout.decode("utf-8"), done.stderr.decode("utf-8", "replace")


def run(arguments, stdin=b""):
    """The exit code of `airlock run --json` and its result object."""
    code, stdout, stderr = call(["run", "--json", *arguments], stdin)
    try:
        return code, json.loads(stdout)
    except ValueError:
        raise Failure(f"exit code {code}, no result object; stderr: {stderr.strip()!r}") from None


def fnv1a(data):
    value = 0xCBF29CE484222325
    for byte in data:
        value = ((value ^ byte) * 0x100000001B3) % 2**64
    return f"{value:016x}"


def expected_report(expected):
    """What result.txt must hold, computed from data.csv in a way of our own."""
    data = DATA.read_bytes()
    rows = [line.split(",") for line in data.decode("utf-8").splitlines()[1:]]
    teams = {}
    for name, team, score in rows:
        teams.setdefault(team, []).append((int(score), name))
    totals = {team: sum(score for score, _ in members) for team, members in teams.items()}
    digest = hashlib.sha256(data).hexdigest() if expected.digest == "sha256" else fnv1a(data)
    lines = [f"{team} {len(teams[team])} {totals[team]} {max(teams[team])[1]}"
             for team in sorted(totals, key=totals.get, reverse=True)]
    lines += [f"{expected.digest} {digest}",
              f"squares {sum(i * i for i in range(10_001))}",
              "names " + ",".join(row[0] for row in rows if "A" <= row[0][0] <= "M")]
    if expected.json:
        lines.append("json " + json.dumps(totals, sort_keys=True, separators=(",", ":")))
    return "\n".join(lines + ["args " + "|".join(ARGUMENTS)]) + "\n"


def program(language, name):
    title = name.capitalize() if language == "java" else name
    return HERE / "programs" / language / (title + LANGUAGES[language].extension)


def check_isolation(result):
    isolation = result["isolation"]
    check(isolation["backend"] == "direct", f"backend: {isolation}")
    check(isolation["level"] == "container", f"level: {isolation}")
    check(isolation["network"] == "none", f"network: {isolation}")
    check(isolation["seccomp"] == "default", f"seccomp: {isolation}")
    check(result["denied"] == [], f"something was denied: {result['denied']}")
    check(result["limits_hit"] == [], f"a limit was hit: {result['limits_hit']}")
    check(result["usage"]["wall_ms"] > 0, f"usage: {result['usage']}")


def summary(result):
    """The part of a result that says why."""
    parts = {key: result.get(key) for key in ("outcome", "exit_code", "detail", "stdout", "stderr")}
    if "compile" in result:
        parts["compile"] = summary(result["compile"])
    return parts


def test_report(language):
    """reads a file, its arguments and stdin, uses the standard library, writes a file"""
    before = DATA.read_bytes()
    with tempfile.TemporaryDirectory(prefix="airlock-languages-") as output:
        code, result = run(["--file", DATA, "--output", output, program(language, "report"), "--",
                            *ARGUMENTS], stdin="grüße\n".encode())
        check(result["outcome"] == "exited" and result["exit_code"] == 0 and code == 0,
              f"{summary(result)}")
        check(result["stdout"] == "done grüße\n", f"stdout: {result['stdout']!r}")
        check(result["stderr"] == "", f"stderr: {result['stderr']!r}")
        written = sorted(path.name for path in pathlib.Path(output).rglob("*"))
        check(written == ["result.txt"], f"output folder: {written}")
        text = (pathlib.Path(output) / "result.txt").read_text(encoding="utf-8")
        check(text == expected_report(LANGUAGES[language]), f"result.txt:\n{text}")
    check(DATA.read_bytes() == before, "the host's copy of data.csv changed")
    check_isolation(result)
    if LANGUAGES[language].broken_text and "compile" in result:
        check(result["compile"]["exit_code"] == 0, f"compile: {summary(result['compile'])}")
        check(result["compile"]["usage"]["wall_ms"] > 0, f"compile: {result['compile']['usage']}")


def test_broken(language):
    """a program that does not compile fails in the compile phase and is not run"""
    code, result = run([program(language, "broken")])
    pattern = LANGUAGES[language].broken_text
    if language == "typescript" and "compile" not in result:  # Node strips types by itself
        check(code == 1 and re.search(r"broken\.ts:1", result["stderr"]), f"{summary(result)}")
        return
    check("compile" in result, f"no compile phase: {summary(result)}")
    check(result["compile"]["outcome"] == "exited", f"{summary(result)}")
    check(result["compile"]["exit_code"] not in (0, None), f"{summary(result)}")
    check(code == result["compile"]["exit_code"], f"exit code {code}: {summary(result)}")
    messages = result["compile"]["stdout"] + result["compile"]["stderr"]
    check(re.search(pattern, messages), f"messages: {messages!r}")
    check(result["stdout"] == "", f"something ran: {summary(result)}")


def test_crash(language):
    """a program that fails at run time fails in the run phase, with its own message"""
    expected = LANGUAGES[language]
    code, result = run([program(language, "crash")])
    check(result["outcome"] == expected.crash_outcome, f"{summary(result)}")
    check(result["exit_code"] == expected.crash_code, f"{summary(result)}")
    if expected.crash_outcome == "signalled":
        check(result["signal"] == "SIGABRT" and code == 134, f"exit code {code}: {summary(result)}")
    else:
        check(code == expected.crash_code, f"exit code {code}")
    check(re.search(expected.crash_text, result["stderr"]), f"stderr: {result['stderr']!r}")
    if "compile" in result:
        check(result["compile"]["exit_code"] == 0, f"compile: {summary(result['compile'])}")


def test_listed(language):
    """`airlock languages` finds it on this host and says its version"""
    code, stdout, stderr = call(["languages", "--json"])
    check(code == 0, f"exit code {code}: {stderr}")
    statuses = {status["name"]: status for status in json.loads(stdout)["languages"]}
    status = statuses.get(language)
    check(status is not None, f"not listed; there are {sorted(statuses)}")
    check(status["status"] == "ready", f"{status}")
    check(re.fullmatch(r"\d+(\.\d+)*", status["version"]), f"version: {status['version']!r}")


def test_stdin_source():
    """source from stdin, with a language's alias, takes the language's own file name"""
    source = (b"public class Main { public static void main(String[] a) {"
              b" System.out.print(a.length); } }")
    code, result = run(["--language", "java", "-", "--", "a", "b"], stdin=source)
    check(code == 0 and result["stdout"] == "2", f"{summary(result)}")
    code, result = run(["--language", "py", "-"], stdin=b"print(__file__)")
    check(code == 0 and result["stdout"] == "/workspace/main.py\n", f"{summary(result)}")


def test_unfitting_name():
    """--language decides, whatever the file is called"""
    with tempfile.TemporaryDirectory(prefix="airlock-languages-") as folder:
        path = pathlib.Path(folder) / "program.txt"
        path.write_text("#include <stdio.h>\nint main(void) { puts(__FILE__); }\n")
        code, result = run(["--language", "c", path])
    check(code == 0 and result["stdout"] == "/workspace/main.c\n", f"{summary(result)}")


def test_unknown_language():
    """a language that does not exist is a usage error that names the closest"""
    code, _, stderr = call(["run", "--language", "pyhton", "-"], b"1")
    check(code == 2, f"exit code {code}")
    check("pyhton" in stderr and "python" in stderr, f"stderr: {stderr!r}")


def test_table():
    """the list for people names every language and ends with a count"""
    code, stdout, stderr = call(["languages"])
    check(code == 0, f"exit code {code}: {stderr}")
    names = {line.split()[0] for line in stdout.splitlines() if line}
    check(set(LANGUAGES) <= names, f"{stdout}")
    check(f"{len(LANGUAGES)} of {len(LANGUAGES)} languages are ready." in stdout, f"{stdout}")


def test_own_table():
    """--languages FILE takes the place of the built-in table, and a mistake in it has a place"""
    with tempfile.TemporaryDirectory(prefix="airlock-languages-") as folder:
        path = pathlib.Path(folder) / "own.yaml"
        text = ("languages:\n  awk:\n    extensions: [.awk]\n    file_name: main.awk\n"
                "    toolchains:\n      - name: awk\n        tools: {sh: dash, awk: mawk}\n"
                "        version: [sh, -c, \"echo 1\"]\n"
                "        run: {argv: [awk, -f, \"{source}\", \"{args}\"]}\n")
        path.write_text(text)
        code, result = run(["--languages", path, "--language", "awk", "-"],
                           stdin=b"BEGIN { print 6 * 7 }")
        check(code == 0 and result["stdout"] == "42\n", f"{summary(result)}")
        path.write_text(text.replace("file_name", "file_nmae"))
        code, _, stderr = call(["languages", "--languages", path])
        check(code == 2, f"exit code {code}")
        check(f'{path}:4:5: unknown key "file_nmae"' in stderr and '"file_name"' in stderr, stderr)


def test_missing_toolchain():
    """a toolchain that is not there is named with the package that brings it"""
    with tempfile.TemporaryDirectory(prefix="airlock-languages-") as folder:
        path = pathlib.Path(folder) / "own.yaml"
        path.write_text("languages:\n  klingon:\n    extensions: [.k]\n    file_name: main.k\n"
                        "    toolchains:\n      - name: K\n        tools: {tlhingan: qo-nos}\n"
                        "        version: [tlhingan]\n"
                        "        run: {argv: [tlhingan, \"{source}\", \"{args}\"]}\n")
        code, stdout, _ = call(["languages", "--languages", path])
        check(code == 0 and "missing: install qo-nos" in stdout, f"exit code {code}: {stdout}")
        code, _, stderr = call(["run", "--languages", path, "--language", "klingon", "-"], b"x")
    check(code == 125, f"exit code {code}")
    check("no tlhingan in" in stderr and "apt-get install qo-nos" in stderr, f"stderr: {stderr!r}")


def all_tests(wanted):
    for language in wanted:
        yield f"{language}: listed", lambda name=language: test_listed(name)
        yield f"{language}: report", lambda name=language: test_report(name)
        if LANGUAGES[language].broken_text:
            yield f"{language}: broken", lambda name=language: test_broken(name)
        yield f"{language}: crash", lambda name=language: test_crash(name)
    if len(wanted) == len(LANGUAGES):
        for test in (test_stdin_source, test_unfitting_name, test_unknown_language, test_table,
                     test_own_table, test_missing_toolchain):
            yield test.__name__.removeprefix("test_").replace("_", " "), test


def main():
    wanted = sys.argv[1:] or list(LANGUAGES)
    for name in wanted:
        if name not in LANGUAGES:
            sys.exit(f"run.py: there is no language {name!r}; there are: {', '.join(LANGUAGES)}")
    if not os.access(AIRLOCK, os.X_OK):
        sys.exit(f"run.py: {AIRLOCK} is not there; build it, or set AIRLOCK")
    passed = failed = 0
    for name, test in all_tests(wanted):
        started = time.monotonic()
        try:
            test()
            passed += 1
            print(f"ok    {name} ({time.monotonic() - started:.2f} s)", flush=True)
        except (Failure, KeyError, OSError, ValueError, subprocess.TimeoutExpired) as problem:
            failed += 1
            print(f"FAIL  {name}: {problem}", flush=True)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
