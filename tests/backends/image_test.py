"""Images that a run or a job asks for, from a registry of our own on loopback.

As backend_test.py. What an operator does not allow is refused by name, in every mode.
"""

import base64
import contextlib
import io
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent / "blackbox")]

import case  # noqa: E402
import jobs_test  # noqa: E402
from backend import HAS_DOCKER, MODE, SOCKET, comes_true, containers, docker  # noqa: E402
from service import Service  # noqa: E402

REGISTRY = "docker-registry"
GREET = "#!/bin/sh\necho greetings from ${WHO:-nobody}\n"


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


class Registry:
    """Debian's docker-registry, which dockerd may talk to without TLS because it is on loopback."""

    def __init__(self, folder):
        self.host = f"127.0.0.1:{free_port()}"
        config = pathlib.Path(folder, "registry.yml")
        config.write_text("version: 0.1\n"
                          f"storage: {{filesystem: {{rootdirectory: {folder}/blobs}}}}\n"
                          f"http: {{addr: {self.host}}}\n")
        self.process = subprocess.Popen([REGISTRY, "serve", config], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        if not comes_true(self.answers):
            raise RuntimeError("the registry does not answer")

    def answers(self):
        with contextlib.suppress(OSError), socket.create_connection(
                ("127.0.0.1", int(self.host.rsplit(":", 1)[1]))):
            return True
        return False

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(20)

    def push(self, name, program):
        """An image with `greet` on its PATH; its digest. dockerd does not have it afterwards."""
        image = f"{self.host}/{name}"
        make_image(image, [("opt/tools/greet", tarfile.REGTYPE, program)],
                   "ENV PATH=/opt/tools:/bin WHO=the-image")
        docker("push", image)
        digest = docker("inspect", "--format", "{{index .RepoDigests 0}}", image)
        docker("rmi", image)
        return image, digest


def make_image(image, entries, *changes):
    """Of busybox and (path, type, content or target of a link)."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for path in ("bin/busybox", "bin/sh", "bin/cat"):
            tar.add("/bin/busybox", arcname=path)
        for path, kind, content in entries:
            entry = tarfile.TarInfo(path)
            entry.type, entry.mode = kind, 0o755
            if kind == tarfile.SYMTYPE:
                entry.linkname = content
            else:
                entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content.encode()))
    words = [word for change in changes for word in ("--change", change)]
    subprocess.run(["docker", "-H", f"unix://{SOCKET}", "import", *words, "-", image],
                   input=archive.getvalue(), capture_output=True, timeout=60, check=True)


def run(service, **request):
    status, result = service.ask_json("POST", "/v1/run", request)
    assert status == 200, (status, result)
    return result


def settings(*images, pull="missing"):
    return {"AIRLOCK_EXECUTION_IMAGES": ",".join(images), "AIRLOCK_EXECUTION_IMAGE_PULL": pull}


class Refused(unittest.TestCase):
    def test_one_that_is_not_allowed_is_refused_by_name(self):
        with Service("--jobs=false", env=settings("tools:1")) as service:
            status, answer = service.ask_json(
                "POST", "/v1/run", {"argv": ["/bin/true"], "image": "tools:2"})
        self.assertEqual((status, answer["error"]["field"]), (400, "image"), answer)
        wanted = "it has tools:1, airlock-base" if HAS_DOCKER else "which has none"
        self.assertIn(wanted, answer["error"]["message"])
        self.assertIn("execution.images", answer["error"]["hint"])


@unittest.skipUnless(HAS_DOCKER, "no images in it")
class Image(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.mkdtemp(prefix="registry-")
        cls.addClassCleanup(shutil.rmtree, folder, ignore_errors=True)
        cls.registry = Registry(folder)
        cls.addClassCleanup(cls.registry.stop)
        cls.image, cls.digest = cls.registry.push("team/tools:1", GREET)

    def setUp(self):
        for image in (self.image, self.digest):
            docker("rmi", image)

    def come_to_run(self, service, seconds=60, **request):
        """Its result, when what is missing has been pulled: until then it is refused."""
        results = []

        def runs():
            status, result = service.ask_json("POST", "/v1/run", request)
            results.append(result)
            return status == 200 and result["outcome"] == "exited"

        self.assertTrue(comes_true(runs, seconds), results[-1])
        return results[-1]

    def test_one_that_is_missing_is_pulled_and_runs_with_its_own_environment(self):
        with Service("--jobs=false", env=settings(self.image)) as service:
            result = self.come_to_run(service, argv=["greet"], image=self.image)
            self.assertEqual(result["stdout"], "greetings from the-image\n", result)
            self.assertEqual((result["isolation"]["backend"], result["isolation"]["image"]),
                             (MODE, self.image))
            result = run(service, argv=["greet"], image=f"docker:{self.image}",
                         env={"WHO": "me"})
            self.assertEqual(result["stdout"], "greetings from me\n", result)
            result = run(service, argv=["/bin/sh", "-c", "echo $PATH; cat /etc/debian_version"],
                         image=self.image)
            self.assertEqual(result["stdout"], "/opt/tools:/bin:/usr/local/bin:/usr/bin\n", result)
            result = run(service, argv=["/bin/sh", "-c", "cat /etc/debian_version"])
            self.assertNotIn("image", result["isolation"])
            self.assertNotEqual(result["stdout"], "", result)  # of the default one

    def test_its_environment_is_for_programs_only(self):
        docker("pull", self.image)
        with Service("--jobs=false", env=settings(self.image)) as service:
            sleeper = threading.Thread(target=run, args=(service,), kwargs={
                "argv": ["/bin/busybox", "sleep", "4"], "image": self.image})
            sleeper.start()
            self.addCleanup(sleeper.join)
            seen = []

            def is_seen():
                seen[:] = [line for line in docker(
                    "inspect", "--format", "{{.Config.Env}}", *containers()).split("\n")
                    if "WHO" in line]
                return seen

            self.assertTrue(comes_true(is_seen))
            self.assertEqual(seen, ["[PATH WHO NVIDIA_VISIBLE_DEVICES=void]"])

    def test_one_by_digest_is_that_one_whatever_its_tag_has_become(self):
        self.registry.push("team/tools:1", "#!/bin/sh\necho another\n")
        self.addCleanup(self.registry.push, "team/tools:1", GREET)
        with Service("--jobs=false", env=settings(self.digest, self.image)) as service:
            result = self.come_to_run(service, argv=["greet"], image=self.digest)
            self.assertEqual(result["stdout"], "greetings from the-image\n", result)
            result = self.come_to_run(service, argv=["greet"], image=self.image)
            self.assertEqual(result["stdout"], "another\n", result)

    def test_one_that_is_there_is_pulled_again_only_where_that_is_wanted(self):
        name, _ = self.registry.push("team/moving:1", "#!/bin/sh\necho old\n")
        docker("pull", name)
        old = docker("inspect", "--format", "{{.Id}}", name)
        archive = pathlib.Path(tempfile.mkdtemp(prefix="moving-"), "image.tar")
        self.addCleanup(shutil.rmtree, archive.parent)
        docker("save", "--output", archive, name)
        self.registry.push("team/moving:1", "#!/bin/sh\necho new\n")
        docker("load", "--input", archive)
        self.assertEqual(docker("inspect", "--format", "{{.Id}}", name), old)
        for pull, said in (("missing", "old\n"), ("always", "new\n")):
            with Service("--jobs=false", env=settings(name, pull=pull)) as service:
                def answer(service=service):
                    return run(service, argv=["greet"], image=name)["stdout"]

                self.assertTrue(comes_true(lambda: answer() == said, 30), (pull, answer()))

    def test_one_that_is_not_pulled_is_missing_and_holds_up_nobody_else(self):
        with Service("--jobs=false", env=settings(self.image, pull="never")) as service:
            time.sleep(2)
            status, result = service.ask_json("POST", "/v1/run",
                                              {"argv": ["greet"], "image": self.image})
            self.assertEqual(status, 503, result)
            self.assertIn(f"Docker has no image {self.image}", result["error"]["message"])
            self.assertIn("image_pull", str(result))
            result = run(service, argv=["/bin/echo", "hi"])
            self.assertEqual(result["stdout"], "hi\n", result)
            self.assertEqual(result["isolation"]["backend"], MODE)
            self.assertNotIn("fallback", result["isolation"])

    def test_one_is_to_be_had_where_the_default_one_is_not(self):
        docker("pull", self.image)
        env = {**settings(self.image), "AIRLOCK_EXECUTION_DOCKER_IMAGE": "not-there:1",
               "AIRLOCK_EXECUTION_FALLBACK_ON_ERROR": "true"}
        with Service("--jobs=false", env=env) as service:
            result = run(service, argv=["greet"], image=self.image)
            self.assertEqual(result["stdout"], "greetings from the-image\n", result)
            result = run(service, argv=["/bin/echo", "hi"])
            self.assertIn("no image not-there:1", result["isolation"]["fallback"]["reason"])

    def test_one_that_takes_more_than_its_own_is_refused(self):
        refused = {"with-volumes:1": ("VOLUME /var/data", "declares volumes (/var/data)"),
                   "in-our-place:1": ("VOLUME /.airlock", "declares volumes (/.airlock)"),
                   "too-many:1": ("ENV " + " ".join(f"A{i}=1" for i in range(257)),
                                  "has more than 256 variables"),
                   "too-long:1": ("ENV A=" + "a" * 33000, "or more than 32 KiB")}
        for image, (change, _) in refused.items():
            make_image(image, [], change)
        with Service("--jobs=false", env=settings(*refused)) as service:
            for image, (_, reason) in refused.items():
                status, result = service.ask_json("POST", "/v1/run",
                                                  {"argv": ["greet"], "image": image})
                self.assertEqual(status, 503, result)
                self.assertIn(reason, result["error"]["message"])

    def test_what_it_has_in_our_places_does_not_count(self):
        evil = "#!/bin/sh\necho evil\n"
        links = [("opt/evil/airlock-link", tarfile.REGTYPE, evil),
                 ("opt/evil/airlock-init", tarfile.REGTYPE, evil),
                 (".airlock", tarfile.SYMTYPE, "/opt/evil"), ("usr", tarfile.DIRTYPE, ""),
                 *((path, tarfile.SYMTYPE, "/usr")
                   for path in ("workspace", "tmp", "output", "build", "input", "dev", "proc"))]
        others = [(".airlock/airlock-link", tarfile.DIRTYPE, ""),
                  (".airlock/airlock-init", tarfile.DIRTYPE, ""),
                  *((path, tarfile.REGTYPE, "x") for path in ("workspace", "tmp", "input"))]
        make_image("links:1", links)
        make_image("others:1", others)
        script = ("cat in; echo kept > /workspace/f && cat /workspace/f; cat /proc/1/comm; "
                  "for place in /usr /opt/evil /.airlock /input; do "
                  "echo x > $place/x && echo wrote $place; done 2>/dev/null; exit 7")
        with Service("--jobs=false", env=settings("links:1", "others:1")) as service:
            for image in ("links:1", "others:1"):
                result = run(service, argv=["/bin/sh", "-c", script], image=image,
                             files=[{"path": "in", "content": "given\n"}])
                self.assertEqual((result["stdout"], result["exit_code"]),
                                 ("given\nkept\nairlock-link\n", 7), result)

    @unittest.skipUnless(MODE == "docker", "as slow as the minute that it waits: once")
    def test_one_that_the_registry_does_not_have_yet_is_tried_again(self):
        name = f"{self.registry.host}/team/late:1"
        with Service("--jobs=false", env=settings(name)) as service:
            self.assertTrue(comes_true(lambda: any(
                f"pull {name}: " in line for line in service.other_lines)), service.other_lines)
            self.registry.push("team/late:1", GREET)
            self.assertEqual(self.come_to_run(service, 90, argv=["greet"], image=name)["stdout"],
                             "greetings from the-image\n")

    def test_a_registry_that_does_not_have_it_is_told_of(self):
        name = f"{self.registry.host}/team/nothing:1"
        with Service("--jobs=false", env=settings(name)) as service:
            self.assertTrue(comes_true(lambda: any(
                f"pull {name}: " in line for line in service.other_lines)), service.other_lines)

    def test_none_is_taken_from_a_backend_that_has_none(self):
        # Docker cannot be had, and what stands in for it has no images.
        env = {**settings("tools:1"), "AIRLOCK_EXECUTION_FALLBACK_ON_ERROR": "true",
               "AIRLOCK_EXECUTION_DOCKER_SOCKET": "/nowhere/docker.sock"}
        with Service("--jobs=false", env=env) as service:
            status, result = service.ask_json("POST", "/v1/run",
                                              {"argv": ["/bin/true"], "image": "tools:1"})
            self.assertEqual(status, 503, result)
            self.assertIn("/nowhere/docker.sock", result["error"]["message"])
            self.assertEqual(run(service, argv=["/bin/true"])["outcome"], "exited")


class Configured(jobs_test.Runner):
    def __init__(self, folder, images):
        super().__init__(folder)
        self.images = images

    def configuration(self):
        return super().configuration().replace(
            "execution:\n", f"execution:\n  images: {self.images}\n", 1)


@unittest.skipUnless(HAS_DOCKER, "no images in it")
class OfJobs(unittest.TestCase):
    def test_phases_of_a_job_run_in_the_image_that_its_repository_names(self):
        folder = tempfile.mkdtemp(prefix="image-jobs-")
        self.addCleanup(shutil.rmtree, folder, ignore_errors=True)
        os.chmod(folder, 0o755)
        with contextlib.closing(contextlib.ExitStack()) as stack:
            registry = Registry(folder)
            stack.callback(registry.stop)
            image, _ = registry.push("team/jobs:1", GREET)
            docker("pull", image)
            runner = stack.enter_context(Configured(folder, [image]))
            runner.servers.repository.commit({"airlock.yaml": (
                f"image: docker:{image}\nprep: greet > /workspace/said\n"
                "inference: cat /workspace/said > /output/said\n")})
            job = runner.submit()
            record = runner.wait(job, ("completed",), 120)
            self.assertEqual(runner.output(job, "said"), b"greetings from the-image\n")
            images = {phase["name"]: phase["result"]["isolation"].get("image")
                      for phase in record["phases"]}
            self.assertEqual(images, {"clone": None, "prep": image, "inference": image})
            receipt = runner.json("GET", f"/v1/jobs/{job}/receipt")
            self.assertIn(f'"image":"{image}"', str(base64.b64decode(receipt["payload"])))
            runner.servers.repository.commit(
                {"airlock.yaml": "image: docker:debian:12\ninference: greet\n"})
            record = runner.wait(runner.submit(), ("failed",))
            self.assertIn("airlock.yaml:1:8: \"docker:debian:12\" is no image of this server",
                          str(record))


if __name__ == "__main__":
    sys.exit(case.run_tests(__name__))
