#!/usr/bin/env python3
"""`airlock serve` killed at named points of the daemon and of the launcher.

    tests/blackbox/serve_crash_test.py

The points are in the sources: base::crash_point("NAME") in the service, crash_point("crash:NAME")
in the launcher, both only in programs that are built for this. At each: clients see a clean failure
or their true result, the service is ready again by itself, the next run is right, and once it has
ended nothing is left. The launcher, and launcher and daemon together, are killed while the daemon
stands still at each of its points.
"""

import concurrent.futures
import contextlib
import pathlib
import re
import shutil
import sys
import tempfile
import time
import unittest

import case
import clients
from case import SLOW
from serve_load_test import CLEAN, run_is_right
from service import Service
from support import airlock, leftovers

# How a client comes to each point of the service.
RUN, STREAM = "run", "stream"
SERVICE_POINTS = {
    "accepted": RUN,
    "head_read": RUN,
    "body_read": RUN,
    "submitted": RUN,
    "sandbox_taken": RUN,
    "exec_sent": RUN,
    "report_read": RUN,
    "run_ended": RUN,
    "before_answer": RUN,
    "stream_begun": STREAM,
    "piece_written": STREAM,
    "parking": RUN,
    "retiring": RUN,
}
# Those that the launcher itself comes to; the others are a keeper's, on whom one run depends.
LAUNCHER_POINTS = ("host_opened", "keeper_forked")
KEEPER_POINTS = ("slot_taken", "workspace_made", "cloned", "mapped", "group_made", "exec_sent",
                 "before_report", "after_report", "before_destroy", "init_reaped")
REACH_SECONDS = 20 * SLOW


def points_in(folders, pattern):
    found = set()
    for folder in folders:
        for path in (airlock.ROOT / folder).rglob("*.cc"):
            found.update(re.findall(pattern, path.read_text(encoding="utf8")))
    return found


def ask(service, kind, number, may_break):
    """What is wrong about what one client sees; nothing if it is clean."""
    request = clients.honest_request(number)
    try:
        answer = (service.run(**request) if kind == RUN else clients.streamed(service, request))
    except clients.BROKEN as error:
        return None if may_break else f"a broken connection: {error!r}"
    except ValueError as error:
        return f"half of an answer: {error}"
    return None if answer[0] in CLEAN else clients.check_honest(number, *answer)


class Crash(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="serve-crash-"))
        self.folder.chmod(0o755)
        self.addCleanup(shutil.rmtree, self.folder)
        for name in ("daemon", "jail"):
            (self.folder / name).mkdir()
            (self.folder / name).chmod(0o777)  # the daemon, who is nobody, removes files there

    @contextlib.contextmanager
    def service(self, point):
        """A service that comes to the point; afterwards nothing of it is left."""
        before = leftovers.snapshot()
        beside = airlock.binary().with_name
        with Service("--wait", "30s", program=[beside("airlock-daemon-testhooks"), "serve"],
                     env={"AIRLOCK_TEST_CRASH": str(self.folder / "daemon"),
                          "AIRLOCK_JAIL": str(beside("airlock-jail-testhooks")),
                          "AIRLOCK_JAIL_TEST_CRASH": str(self.folder / "jail")}) as service:
            yield service
        self.assertEqual(leftovers.remaining(before), [], point)

    def reach(self, service, kind, name, then=lambda: None, may_break=True):
        """Sends clients until somebody has come to the point; `then` what they are to see."""
        armed = self.folder / name
        armed.touch()
        deadline = time.monotonic() + REACH_SECONDS
        asked = []
        with concurrent.futures.ThreadPoolExecutor(6) as pool:
            while armed.exists() and time.monotonic() < deadline:
                asked += [pool.submit(ask, service, kind, len(asked) + i, may_break)
                          for i in range(6)]
                while armed.exists() and not all(one.done() for one in asked):
                    time.sleep(0.005)
            self.assertFalse(armed.exists(), f"nobody came to {name}")
            then()
        wrong = [one.result() for one in asked if one.result()]
        self.assertEqual(wrong, [], name)

    def check_restart(self, service, kind, name, then=lambda: None):
        ready = service.count("serve.ready")
        self.reach(service, kind, name, then)
        service.wait_for("serve.ready", ready + 1, seconds=60 * SLOW)
        self.assertIsNone(run_is_right(service), name)

    def test_the_points_are_those_of_the_sources(self):
        # Those of jobs are jobs_crash_test.py's.
        self.assertEqual(points_in(["src/http", "src/runner", "src/backend", "apps/airlock"],
                                   r'base::crash_point\("(?!job_)(\w+)"\)'), set(SERVICE_POINTS))
        # Those of layers are tested where layers are: src/backend/native/layers_native_test.cc.
        self.assertEqual(points_in(["src/jail", "apps/jail"],
                                   r'crash_point\("crash:(?!layer_)(\w+)"\)'),
                         {*LAUNCHER_POINTS, *KEEPER_POINTS})

    def test_killed_at_each_point_of_the_daemon(self):
        victims = (("launcher",), ("launcher", "daemon"))
        for number, (point, kind) in enumerate(SERVICE_POINTS.items()):
            with self.subTest(point=point), self.service(point) as service:
                self.check_restart(service, kind, f"daemon/{point}")
                # Once more: the daemon stands still there, and the launcher dies, or both.
                self.check_restart(service, kind, f"daemon/{point}.stop",
                                   lambda: service.kill(*victims[number % 2]))

    def test_a_keeper_that_dies_at_each_point(self):
        for point in KEEPER_POINTS:
            with self.subTest(point=point), self.service(point) as service:
                self.reach(service, RUN, f"jail/{point}", may_break=False)
                self.assertIsNone(run_is_right(service), point)
                self.assertEqual(service.count("serve.died"), 0)

    def test_a_launcher_that_dies_at_each_point(self):
        with self.service("keeper_forked") as service:
            self.check_restart(service, RUN, "jail/keeper_forked")
        with self.service("host_opened") as service:
            (self.folder / "jail/host_opened").touch()
            service.kill("launcher")
            service.wait_for("serve.died", 2, seconds=60 * SLOW)
            self.assertIsNone(run_is_right(service))


if __name__ == "__main__":
    sys.exit(case.run_tests(__name__))
