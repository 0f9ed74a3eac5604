#!/usr/bin/env python3
"""Ten thousand jobs wait: none is lost, doubled or forgotten, also when the service dies.

    tests/blackbox/jobs_queue_test.py
"""

import concurrent.futures
import http.client
import json
import queue
import sys
import time

import case
import jobs_test

JOBS = 10_000
CLIENTS = 16
SLOW = case.SLOW


class Clients:
    """CLIENTS connections that are kept, each used by one thread at a time."""

    def __init__(self, port):
        self.free = queue.SimpleQueue()
        for _ in range(CLIENTS):
            self.free.put(http.client.HTTPConnection("127.0.0.1", port, timeout=60 * SLOW))
        self.pool = concurrent.futures.ThreadPoolExecutor(CLIENTS)

    def ask(self, method, path, body=None):
        connection = self.free.get()
        try:
            connection.request(method, path, body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        finally:
            self.free.put(connection)

    def map(self, call, values):
        return list(self.pool.map(call, values))


class Queue(case.Case):
    def wait_for_depth(self, runner, depth):
        deadline = time.monotonic() + 30 * SLOW
        while (found := runner.json("GET", "/v1/status")["queue_depth"]) != depth:
            self.assertLess(time.monotonic(), deadline, found)
            time.sleep(0.1)

    def listed(self, runner):
        """The ids of all that wait, page by page."""
        found, cursor = [], ""
        while True:
            page = runner.json("GET", f"/v1/jobs?status=pending&limit=1000{cursor}")
            found += [job["job_id"] for job in page["jobs"]]
            if not page["next"]:
                return found
            cursor = f"&cursor={page['next']}"

    def test_ten_thousand_wait_and_none_is_lost(self):
        with jobs_test.Runner(self.folder) as runner:
            runner.commit(inference_py="import time\ntime.sleep(600)\n")
            cores = runner.json("GET", "/v1/status")["cpu_cores_total"]
            first = runner.submit(cpu_cores=cores)
            runner.wait(first, ("prep",))
            body = json.dumps(runner.servers.job(cpu_cores=cores))
            clients = Clients(runner.service.port)
            answers = clients.map(lambda _: clients.ask("POST", "/v1/jobs/submit", body),
                                  range(JOBS))
            self.assertEqual({status for status, _ in answers}, {201})
            jobs = {answer["job_id"] for _, answer in answers}
            self.assertEqual(len(jobs), JOBS)
            self.assertEqual(max(answer["queue_position"] for _, answer in answers), JOBS - 1)
            self.wait_for_depth(runner, JOBS)

            runner.service.kill("daemon", "launcher")
            runner.service.wait_for("serve.ready", 2)
            self.wait_for_depth(runner, JOBS)
            self.assertEqual(runner.job(first)["status"], "prep")
            waiting = self.listed(runner)
            self.assertEqual(len(waiting), JOBS)
            self.assertEqual(set(waiting), jobs)

            clients = Clients(runner.service.port)
            ends = clients.map(lambda job: clients.ask("DELETE", f"/v1/jobs/{job}")[1]["status"],
                               sorted(jobs))
            self.assertEqual(set(ends), {"cancelled"})
            self.wait_for_depth(runner, 0)
            runner.call("DELETE", f"/v1/jobs/{first}", expect=200)
            runner.wait(first, ("cancelled",))


if __name__ == "__main__":
    sys.exit(case.run_tests(__name__))
