#!/usr/bin/env python3
"""`airlock simulate` from outside: its figures, its chart, and what it says about bad input.

    tests/blackbox/simulate_test.py

AIRLOCK names the binary to test. Prints one line per test, then `N passed, N failed`.
"""

import json
import os
import pathlib
import sys
import xml.etree.ElementTree

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import case  # noqa: E402

REAL = pathlib.Path(__file__).resolve().parents[2] / "examples/data/gpu_jobs_2023.csv"
HEADER = "arrival_seconds,gpus,duration_seconds\n"
POLICIES = ["fifo", "best-fit", "seed", "airlock"]
# The first job leaves 4 GPUs; the second needs all, the third two.
SMALL = HEADER + "0,4,60\n10,8,20\n10,2,5\n"
FIGURES = {"utilization", "makespan_seconds", "wait_mean_seconds", "wait_p99_seconds",
           "wait_max_seconds", "classes"}


class Simulate(case.Case):
    def figures(self, *words):
        done = self.airlock("simulate", "--json", *words)
        self.assertEqual((done.returncode, done.stderr), (0, b""), done.stderr)
        return json.loads(done.stdout)

    def test_the_figures_are_those_of_a_schedule_made_by_hand(self):
        trace = self.write("trace.csv", SMALL)
        fifo = self.figures(trace, "--policy", "fifo")
        self.assertLessEqual(FIGURES, set(fifo))
        self.assertEqual(fifo["makespan_seconds"], 85)
        self.assertAlmostEqual(fifo["utilization"], 410 / (85 * 8), places=5)
        self.assertEqual(fifo["wait_mean_seconds"], 40)
        self.assertEqual(fifo["wait_max_seconds"], 70)
        self.assertEqual(fifo["classes"]["8"]["wait_mean_seconds"], 50)
        self.assertEqual(fifo["classes"]["8"]["jobs"], 1)
        ours = self.figures(trace)
        self.assertEqual(ours["policy"], "airlock")
        self.assertAlmostEqual(ours["wait_mean_seconds"], 50 / 3, places=5)

    def test_the_budget_holds_on_the_real_trace(self):
        for estimate in ("exact", "x2"):
            found = self.figures(REAL, "--policy", "all", "--estimate", estimate)["policies"]
            self.assertEqual(list(found), POLICIES)
            ours, fifo = found["airlock"], found["fifo"]
            self.assertLess(ours["wait_mean_seconds"], fifo["wait_mean_seconds"])
            self.assertLess(ours["wait_mean_seconds"], found["best-fit"]["wait_mean_seconds"])
            for gpus in ("4", "8"):
                for figure in ("wait_mean_seconds", "wait_p99_seconds"):
                    self.assertLessEqual(ours["classes"][gpus][figure],
                                         fifo["classes"][gpus][figure])

    def test_a_mix_is_the_same_for_the_same_seed(self):
        words = ("--mix", "90", "--jobs", "400", "--seed")
        self.assertEqual(self.figures(*words, "5"), self.figures(*words, "5"))
        self.assertNotEqual(self.figures(*words, "5"), self.figures(*words, "6"))

    def test_several_policies_are_one_table(self):
        done = self.airlock("simulate", self.write("t.csv", SMALL), "--policy", "fifo,airlock")
        lines = done.stdout.decode().splitlines()
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(lines[2].split(), ["POLICY", "fifo", "airlock"])
        self.assertIn("8 GPUs: mean wait   50.0 s   50.0 s", lines)

    def test_the_chart_is_an_svg_with_a_rectangle_for_each_job(self):
        chart = self.folder / "chart.svg"
        done = self.airlock("simulate", self.write("<&>.csv", SMALL), "--svg", chart)
        self.assertEqual((done.returncode, done.stderr), (0, b""))
        root = xml.etree.ElementTree.parse(chart).getroot()
        titles = [element.text for element in root.iter("{http://www.w3.org/2000/svg}title")]
        self.assertEqual(len(titles), 3)
        self.assertIn("job 2: 8 GPUs for 20.00 s, waited 50.00 s", titles)
        self.assertIn("<&>.csv, airlock, 8 GPUs", "".join(root.itertext()))


class BadInput(case.Case):
    def refused(self, text, *parts, words=()):
        trace = self.write("bad.csv", text)
        self.assert_refused(self.airlock("simulate", trace, *words), *parts)

    def test_the_line_and_the_column_are_named(self):
        self.refused("", "bad.csv", "empty")
        self.refused(HEADER, "no jobs")
        self.refused("gpus,duration_seconds\n1,1\n", "line 1", "arrival_seconds")
        self.refused(HEADER + "0,1,5\n-3,1,5\n", "line 3", "arrival_seconds", "negative")
        self.refused(HEADER + "0,1,nan\n", "line 2", "duration_seconds", "nan")
        self.refused(HEADER + "0,16,5\n", "line 2", "16 GPUs", "has 8")
        self.refused(HEADER + "0,4,5\n", "line 2", "has 2", words=("--gpus", "2"))
        self.refused(HEADER + "0,1\n", "line 2", "2 cells")
        self.refused("\x1b]0;x\x07\n", "line 1")

    def test_a_file_that_cannot_be_used_is_named(self):
        for name in ("missing.csv", "/", "/dev/zero"):
            self.assert_refused(self.airlock("simulate", name), name)

    def test_the_command_line_is_checked(self):
        trace = self.write("t.csv", SMALL)
        for words, part in (((), "nothing to simulate"), ((trace, "--mix", "90"), "one too many"),
                            ((trace, "--policy", "lifo"), "lifo"),
                            ((trace, "--estimate", "x3"), "x3"), ((trace, "--gpus", "0"), "--gpus"),
                            ((trace, "--gpus", "9999999999"), "--gpus"),
                            (("--mix", "nan"), "--mix"), (("--mix", "90", "--jobs", "0"), "--jobs"),
                            ((trace, "--starvation-threshold", "soon"), "--starvation-threshold"),
                            ((trace, "--policy", "all", "--svg", "x.svg"), "--svg")):
            self.assert_refused(self.airlock("simulate", *words), part)

    def test_a_chart_that_cannot_be_written_is_an_error(self):
        done = self.airlock("simulate", self.write("t.csv", SMALL), "--svg", "/nowhere/x.svg")
        self.assertEqual(done.returncode, 125)
        self.assertIn(b"/nowhere/x.svg", done.stderr)
        self.assertFalse(os.path.exists("/nowhere"))


if __name__ == "__main__":
    sys.exit(case.run_tests(__name__))
