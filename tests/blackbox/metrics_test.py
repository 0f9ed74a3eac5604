#!/usr/bin/env python3
"""What the service tells a Prometheus: read by the parser of Prometheus's own Python client, and
held against what was really done.

    tests/blackbox/metrics_test.py
"""

import gzip
import os
import re
import socket
import sys
import tempfile
import time

from prometheus_client import parser

import case
import service
from gpu_jobs_test import STANDIN
from jobs_test import Runner

KEY = "a-key-of-thirty-two-characters-00"
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
SETTLE_SECONDS = 20 * case.SLOW


class Page:
    """A page of metrics that is well-formed, or an AssertionError."""

    def __init__(self, text):
        self.text = text
        self.families = {family.name: family
                         for family in parser.text_string_to_metric_families(text)}
        self.values = {}
        for family in self.families.values():
            for sample in family.samples:
                key = (sample.name, *sorted(sample.labels.items()))
                assert key not in self.values, f"{key} is there twice"
                self.values[key] = sample.value
        self.check_form()

    def check_form(self):
        """What the parser forgives."""
        assert self.text.endswith("\n")
        kinds = re.findall(r"^# TYPE (\S+) (\S+)$", self.text, re.MULTILINE)
        assert len(kinds) == len(dict(kinds)), "a family is there twice"
        helps = re.findall(r"^# HELP (\S+) \S", self.text, re.MULTILINE)
        assert [name for name, _ in kinds] == helps, (kinds, helps)
        family = None
        for line in self.text.splitlines():
            if line.startswith("# TYPE "):
                family = line.split()[2]
            elif not line.startswith("#"):
                base = re.sub("_(bucket|sum|count)$", "", re.split("[{ ]", line)[0])
                assert family in (base, re.split("[{ ]", line)[0]), (family, line)
        for name, kind in kinds:
            assert (kind == "counter") == name.endswith("_total"), (name, kind)
            if kind == "histogram":
                self.check_histogram(name)

    def check_histogram(self, name):
        series = {}
        for sample in self.families[name].samples:
            labels = tuple(sorted((k, v) for k, v in sample.labels.items() if k != "le"))
            series.setdefault(labels, []).append(sample)
        for labels, samples in series.items():
            buckets = [(float(s.labels["le"]), s.value) for s in samples if "le" in s.labels]
            assert buckets == sorted(buckets) and buckets[-1][0] == float("inf"), buckets
            counts = [count for _, count in buckets]
            assert counts == sorted(counts), (name, labels, counts)
            total = next(s.value for s in samples if s.name.endswith("_count"))
            assert counts[-1] == total, (name, labels, counts, total)

    def value(self, name, **labels):
        """None: there is no such series."""
        return self.values.get((name, *sorted(labels.items())))

    def labels(self, name, label):
        return {dict(key[1:]).get(label) for key in self.values if key[0] == name}

    def counters(self):
        """The values that may only grow."""
        grows = {name for name, family in self.families.items()
                 if family.type in ("counter", "histogram")}
        return {key: value for key, value in self.values.items()
                if re.sub("_(total|bucket|sum|count)$", "", key[0]) in grows}


class Waiting:
    """For a case that has page()."""

    def wait_until(self, holds):
        deadline = time.monotonic() + SETTLE_SECONDS
        while True:
            page = self.page()
            if holds(page):
                return page
            self.assertLess(time.monotonic(), deadline, page.text)
            time.sleep(0.05)


class Metrics(Waiting, service.ServiceCase):
    def page(self, headers=None):
        status, given, body = self.service.ask("GET", "/metrics", headers=headers)
        self.assertEqual((status, given["Content-Type"]), (200, CONTENT_TYPE))
        return Page(body.decode())

    def test_runs_are_counted_by_their_outcome(self):
        before = self.page()
        for _ in range(3):
            self.run_ok(language="bash", code="true")
        self.run_ok(language="bash", code="sleep 60", limits={"wall_ms": 300})
        after = self.page()

        def grown(name, **labels):
            return after.value(name, **labels) - before.value(name, **labels)

        self.assertEqual(grown("airlock_runs_total", outcome="exited"), 3)
        self.assertEqual(grown("airlock_runs_total", outcome="wall_timeout"), 1)
        self.assertEqual(grown("airlock_runs_total", outcome="denied"), 0)
        self.assertEqual(grown("airlock_run_duration_seconds_count"), 4)
        self.assertEqual(grown("airlock_run_wait_seconds_count"), 4)
        self.assertGreater(grown("airlock_run_duration_seconds_sum"), 0.3)
        self.assertEqual(after.value("airlock_run_slots", state="in_use"), 0)
        self.assertGreaterEqual(after.value("airlock_run_slots", state="free"), 1)
        self.assertGreaterEqual(after.value("airlock_parked_sandboxes"), 0)

    def test_a_run_that_runs_has_its_slot(self):
        with self.service.raw() as connection:
            body = b'{"language":"bash","code":"sleep 60"}'
            connection.sendall(b"POST /v1/run HTTP/1.1\r\nHost: localhost\r\nContent-Type: "
                               b"application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
            self.wait_until(lambda page: page.value("airlock_run_slots", state="in_use") == 1)
        self.wait_until(lambda page: page.value("airlock_run_slots", state="in_use") == 0)

    def test_requests_have_the_pattern_of_their_route(self):
        def count(page, **labels):
            return page.value("sandbox_api_requests_total", **labels) or 0

        asked = ({"method": "GET", "endpoint": "/v1/jobs/{id}"},
                 {"method": "GET", "endpoint": "(none)"})
        before = self.page()
        status = self.service.ask("GET", "/v1/jobs/job_0123456789ab")[0]
        for path in ("/no/such/path", "/v1/jobs/a/b/c/d", "/v1/%zz"):
            self.assertEqual(self.service.ask("GET", path)[0], 404)
        self.assertEqual(self.service.ask("BREW", "/v1/run")[0], 405)
        after = self.page()
        self.assertEqual(count(after, status=str(status), **asked[0]),
                         count(before, status=str(status), **asked[0]) + 1)
        self.assertEqual(count(after, status="404", **asked[1]),
                         count(before, status="404", **asked[1]) + 3)
        self.assertEqual(count(after, status="405", method="(other)", endpoint="(none)"),
                         count(before, status="405", method="(other)", endpoint="(none)") + 1)
        self.assertNotIn("no/such", after.text)
        self.assertNotIn("BREW", after.text)
        self.assertNotIn("job_0123", after.text)
        seconds = "sandbox_api_request_duration_seconds_count"
        self.assertEqual(after.value(seconds, status="404", **asked[1]),
                         count(after, status="404", **asked[1]))

    def test_what_never_became_a_request_is_counted(self):
        labels = {"method": "(unread)", "endpoint": "(unread)", "status": "400"}
        before = self.page().value("sandbox_api_requests_total", **labels) or 0
        with self.service.raw() as connection:
            connection.sendall(b"nonsense\r\n\r\n")
            self.assertIn(b" 400 ", connection.recv(1000))
        self.assertEqual(self.page().value("sandbox_api_requests_total", **labels), before + 1)

    def test_counters_never_go_back(self):
        pages = []
        for code in ("true", "exit 3", "kill -9 $$"):
            self.run_ok(language="bash", code=code)
            pages.append(self.page().counters())
        for earlier, later in zip(pages, pages[1:]):
            for key, value in earlier.items():
                self.assertGreaterEqual(later[key], value, key)

    def test_the_machine_is_shown(self):
        self.wait_until(lambda page: page.value("sandbox_cpu_usage_percent") is not None)
        page = self.page()
        self.assertTrue(0 <= page.value("sandbox_cpu_usage_percent") <= 100)
        self.assertLess(page.value("sandbox_memory_used_bytes"),
                        page.value("sandbox_memory_total_bytes"))
        self.assertEqual(page.value("sandbox_memory_total_bytes"),
                         os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
        disk = os.statvfs("/")
        self.assertEqual(page.value("sandbox_disk_total_bytes", mount="/"),
                         disk.f_blocks * disk.f_frsize)
        self.assertLess(abs(page.value("process_start_time_seconds") - time.time()), 3600)
        self.assertEqual(page.labels("sandbox_system_info", "service"), {"airlock"})

    def test_head_has_the_size_and_no_page(self):
        connection = self.service.connect()
        connection.request("HEAD", "/metrics")
        answer = connection.getresponse()
        self.assertEqual(answer.status, 200)
        self.assertGreater(int(answer.headers["Content-Length"]), 1000)
        self.assertEqual(answer.read(), b"")
        connection.request("GET", "/health")  # on the same connection
        self.assertEqual(connection.getresponse().status, 200)
        connection.close()

    def test_who_takes_gzip_gets_it(self):
        status, headers, body = self.service.ask("GET", "/metrics",
                                                 headers={"Accept-Encoding": "gzip"})
        self.assertEqual((status, headers["Content-Encoding"]), (200, "gzip"))
        self.assertEqual(headers["Content-Type"], CONTENT_TYPE)
        self.assertIn("airlock_runs_total", Page(gzip.decompress(body).decode()).text)

    def test_a_web_page_may_not_read_it(self):
        for headers in ({"Host": "evil.example"}, {"Origin": "http://evil.example"}):
            self.assertEqual(self.service.ask("GET", "/metrics", headers=headers)[0], 403)


class Access(case.Case):
    """Who may read the page of a service that has a key."""

    def serve(self, **settings):
        return service.Service(env={"AIRLOCK_API_KEY": KEY, **{
            f"AIRLOCK_MONITORING_{name.upper()}": str(value) for name, value in settings.items()}})

    def test_the_key_guards_it_and_refusals_are_counted(self):
        with self.serve() as served:
            self.assertEqual(served.ask("GET", "/metrics")[0], 401)
            self.assertEqual(served.ask("GET", "/v1/languages")[0], 401)
            self.assertEqual(served.ask("GET", "/metrics", headers={"X-API-Key": "no"})[0], 401)
            status, _, body = served.ask("GET", "/metrics",
                                         headers={"Authorization": f"Bearer {KEY}"})
            self.assertEqual(status, 200)
            page = Page(body.decode())
            refused = "sandbox_auth_failures_total"
            self.assertEqual(page.value(refused, auth_type="api_key", reason="missing"), 2)
            self.assertEqual(page.value(refused, auth_type="api_key", reason="invalid"), 1)
            self.assertEqual(page.value("sandbox_api_requests_total", method="GET",
                                        endpoint="/metrics", status="401"), 2)
            self.assertNotIn(KEY, page.text)

    def test_the_operator_may_open_it(self):
        with self.serve(metrics_need_key="off") as served:
            self.assertEqual(served.ask("GET", "/metrics")[0], 200)
            self.assertEqual(served.ask("GET", "/v1/languages")[0], 401)

    def ask(self, url, request):
        host, port = re.match(r"http://(.*):(\d+)", url).groups()
        with socket.create_connection((host, int(port)), timeout=10 * case.SLOW) as connection:
            connection.sendall((request + "\r\nConnection: close\r\n\r\n").encode())
            answer = b""
            while piece := connection.recv(65536):
                answer += piece
        head, _, body = answer.partition(b"\r\n\r\n")
        return int(head.split()[1]), body.decode()

    def test_a_port_of_its_own_has_the_page_and_nothing_else(self):
        with self.serve(prometheus_port=0, prometheus_path="/m/etrics") as served:
            url = served.wait_for("serve.start")["metrics"]
            self.assertRegex(url, r"^http://127\.0\.0\.1:\d+/m/etrics$")
            status, body = self.ask(url, "GET /m/etrics HTTP/1.1\r\nHost: localhost")
            self.assertEqual(status, 200)
            self.assertIn("airlock_runs_total", Page(body).text)
            for path in ("/metrics", "/", "/health", "/v1/languages", "/v1/run"):
                self.assertEqual(self.ask(url, f"GET {path} HTTP/1.1\r\nHost: localhost")[0], 404)
            status, _ = self.ask(url, "DELETE /m/etrics HTTP/1.1\r\nHost: localhost")
            self.assertEqual(status, 405)
            # A page of a browser on this machine, by a name that leads here.
            status, _ = self.ask(url, "GET /m/etrics HTTP/1.1\r\nHost: evil.example")
            self.assertEqual(status, 403)
            self.assertEqual(served.ask("GET", "/metrics")[0], 401)
            # It stays open while the daemon is started anew.
            served.kill("daemon")
            served.wait_for("serve.ready", 2)
            self.assertEqual(served.wait_for("serve.start", 2)["metrics"], url)
            self.assertEqual(self.ask(url, "GET /m/etrics HTTP/1.1\r\nHost: localhost")[0], 200)

    def test_beyond_this_machine_any_name_is_taken(self):
        with self.serve(prometheus_port=0, prometheus_host="0.0.0.0") as served:
            port = served.wait_for("serve.start")["metrics"].split(":")[2].split("/")[0]
            status, _ = self.ask(f"http://127.0.0.1:{port}",
                                 "GET /metrics HTTP/1.1\r\nHost: runner-1.example:9090")
            self.assertEqual(status, 200)

    def test_what_cannot_be_obeyed_is_refused(self):
        for name, value in (("prometheus_port", "65536"), ("prometheus_host", "runner.example"),
                            ("prometheus_path", "metrics"), ("metrics_need_key", "maybe")):
            file = self.write("a.yaml", f"monitoring:\n  {name}: {value}\n")
            done = self.airlock("serve", "--config", file, "--print-config")
            self.assert_refused(done, "a.yaml:2:", value)
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            file = self.write("a.yaml", f"monitoring:\n  prometheus_port: {port}\n")
            done = self.airlock("serve", "--listen", "http://127.0.0.1:0", "--config", file,
                                "--jobs", "false", "--state-dir", self.folder)
            self.assertNotEqual(done.returncode, 0)
            self.assertIn(str(port), done.stderr.decode())


class Jobs(Waiting, case.Case):
    @classmethod
    def setUpClass(cls):
        folder = cls.enterClassContext(tempfile.TemporaryDirectory(prefix="metrics-test-"))
        os.chmod(folder, 0o755)
        state = os.path.join(folder, "nvml-state")
        with open(state, "w", encoding="utf8"):
            os.chmod(state, 0o644)
        cls.runner = cls.enterClassContext(Runner(
            folder, env={"AIRLOCK_HARDWARE_NVML_PATH": str(STANDIN),
                         "AIRLOCK_STANDIN_NVML": state}))

    def page(self):
        return Page(self.runner.call("GET", "/metrics", expect=200)[1].decode())

    def test_a_job_is_followed_through_its_phases(self):
        commit = self.runner.commit(inference_py="""
import os, pathlib, time
if os.environ['PHASE'] == 'inference':
    time.sleep(1.2)
    pathlib.Path('/output/done').write_text('yes')
""")
        whose = '5Fvalid\u00e9"} 1\\x'
        job = self.runner.submit(repo_commit=commit, validator_hotkey=whose)
        self.wait_until(lambda page: page.value("sandbox_jobs_active", phase="inference",
                                                weight_class="0x") == 1)
        self.runner.wait(job, ("completed",))
        page = self.wait_until(
            lambda page: page.value("sandbox_jobs_completed_total", status="completed",
                                    validator=whose, weight_class="0x") == 1)
        self.assertEqual(page.value("sandbox_jobs_submitted_total", validator=whose,
                                    weight_class="0x"), 1)
        for phase in ("cloning", "building", "downloading_input", "prep", "inference",
                      "uploading_output", "total"):
            count = page.value("sandbox_job_duration_seconds_count", phase=phase,
                               weight_class="0x")
            self.assertGreaterEqual(count, 1, phase)
        took = page.value("sandbox_job_duration_seconds_sum", phase="inference", weight_class="0x")
        total = page.value("sandbox_job_duration_seconds_sum", phase="total", weight_class="0x")
        self.assertTrue(1 <= took <= total, (took, total))
        self.assertGreaterEqual(
            page.value("sandbox_queue_wait_seconds_count", weight_class="0x"), 1)
        self.assertEqual(page.value("sandbox_jobs_active", phase="inference", weight_class="0x"), 0)

    def test_a_job_that_fails_says_so(self):
        job = self.runner.submit(repo_commit=self.runner.commit(inference_py="raise SystemExit(3)"),
                                 validator_hotkey="fails")
        self.runner.wait(job, ("failed",))
        self.wait_until(lambda page: page.value("sandbox_jobs_completed_total", status="failed",
                                                validator="fails", weight_class="0x") == 1)

    def test_what_waits_is_counted_by_priority_and_class(self):
        # More memory than is left beside another one: the second waits.
        endless = self.runner.commit(inference_py="""
import os, time
while os.environ['PHASE'] == 'inference': time.sleep(1)
""")
        status = self.runner.json("GET", "/v1/status")
        most = status["cpu_cores_total"]
        first = self.runner.submit(repo_commit=endless, cpu_cores=most, validator_hotkey="waits")
        self.runner.wait(first, ("inference",))
        waiting = [self.runner.submit(repo_commit=endless, cpu_cores=most, priority=7,
                                      validator_hotkey="waits") for _ in range(2)]
        depth = {"priority": "7", "weight_class": "0x"}
        self.wait_until(lambda page: page.value("sandbox_queue_depth", **depth) == 2)
        for job in (waiting[0], first, waiting[1]):
            self.runner.call("DELETE", f"/v1/jobs/{job}", expect=200)
        for job in (first, *waiting):
            self.runner.wait(job, ("cancelled",))
        page = self.wait_until(
            lambda page: page.value("sandbox_jobs_completed_total", status="cancelled",
                                    validator="waits", weight_class="0x") == 3)
        self.assertEqual(page.value("sandbox_queue_depth", **depth), 0)

    def test_an_empty_queue_is_none(self):
        page = self.page()
        self.assertEqual(page.value("sandbox_queue_depth", priority="0", weight_class="0x"), 0)
        for phase in ("cloning", "building", "prep", "inference"):
            self.assertEqual(page.value("sandbox_jobs_active", phase=phase, weight_class="0x"), 0)

    def test_gpus_are_shown(self):
        page = self.page()
        self.assertEqual(page.labels("sandbox_gpu_allocated", "gpu_id"),
                         {str(i) for i in range(8)})
        for name in ("sandbox_gpu_memory_total_bytes", "sandbox_gpu_memory_used_bytes",
                     "sandbox_gpu_temperature_celsius", "sandbox_gpu_utilization_percent"):
            self.assertIsNotNone(page.value(name, gpu_id="3"), name)
        self.assertEqual(page.value("sandbox_gpu_allocated", gpu_id="3"), 0)

    def test_what_passed_the_gateway_is_counted(self):
        self.runner.wait(self.runner.submit(repo_commit=self.runner.commit()), ("completed",))
        page = self.page()
        self.assertGreaterEqual(page.value("airlock_egress_connections_total", result="made"), 1)
        self.assertGreater(page.value("airlock_egress_bytes_total", direction="in"), 100)


if __name__ == "__main__":
    sys.exit(case.run_tests(__name__))
