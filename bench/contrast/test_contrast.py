"""Tests of the contrast: its programs agree, its picture shows the trace, its check can fail.

    CONTRAST_PROGRAMS=build/release/bench python3 -B test_contrast.py [CLASS[.test]]
"""

import copy
import importlib.util
import json
import os
import re
import subprocess
import sys
import tempfile
import unittest
import xml.etree.ElementTree as ElementTree
from collections import Counter
from importlib.machinery import SourceFileLoader

import lanes
import measure
import picture
import plan
import table

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
PROGRAMS = measure.Programs(os.environ.get("CONTRAST_PROGRAMS", "build/release/bench"),
                            sys.executable)


def write_file(folder, name, data):
    path = os.path.join(folder, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(data)


class Index(unittest.TestCase):
    """Both programs write the same bytes, however the input is cut into chunks."""

    FILES = {
        "UnicodeData.txt": b"0041;LATIN CAPITAL LETTER A;Lu\n"
                           b"0000;<control>;Cc\n"
                           b"0F40;TIBETAN LETTER KA LETTER-KA;Lo\n"
                           b"1F600;GRINNING FACE;So;more;fields\n"
                           b"no fields\n"
                           b"2200;--;Sm\n"
                           b"10FFFD;LATIN A;Lo",  # no newline at the end
        "empty.txt": b"",
        "across.txt": b"x" * 1020 + b" boundary_word " + b"y" * 3000 + b" end",
        "exact.txt": b"0123456789abcde " * 64,
        "word.txt": b"w" * 1024,
        "sub/mixed.txt": "Straße ÉTÉ eight888 eight8889 EIGHT888 eight888_tail\0nul".encode(),
        "sub/a.txt": b"common a b c common\r\ncommon\n",
        "sub/ignored.dat": b"must not be read",
    }

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.root = os.path.join(cls.folder.name, "text")
        for name, data in cls.FILES.items():
            write_file(cls.root, name, data)
        os.symlink("a.txt", os.path.join(cls.root, "sub/link.txt"))
        cls.expected = cls.build("asyncio", chunk_kb=512)

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    @classmethod
    def build(cls, program, **args):
        out = os.path.join(cls.folder.name, "out")
        PROGRAMS.run(program, "index", {"root": cls.root, "out": out, **args})
        with open(out, "rb") as file:
            return file.read()

    def test_words_are_those_of_a_plain_count(self):
        total = Counter()
        for name, data in self.FILES.items():
            if name.endswith(".txt"):
                total.update(re.findall(rb"[a-z0-9_]+", data.lower()))
        section = self.expected.split(b"\nwords ")[1].split(b"\nnames ")[0]
        lines = [line.split() for line in section.split(b"\n")[1:]]
        self.assertEqual({line[0]: int(line[1]) for line in lines}, dict(total))
        self.assertEqual([line[0] for line in lines], sorted(total))

    def test_asyncio_in_small_chunks(self):
        self.assertEqual(self.build("asyncio", chunk_kb=1), self.expected)

    def test_weft_on_one_worker(self):
        self.assertEqual(self.build("weft", workers=1, reserve=0), self.expected)

    def test_weft_on_four_workers_in_small_chunks(self):
        for _ in range(5):
            self.assertEqual(self.build("weft", workers=4, chunk_kb=1), self.expected)

    def test_an_input_without_names_is_an_error(self):
        with tempfile.TemporaryDirectory() as bare:
            write_file(bare, "a.txt", b"word\n")
            for program in ("asyncio", "weft"):
                with self.assertRaises(measure.Failed):
                    PROGRAMS.run(program, "index", {"root": bare, "out": bare + "/out"})


class Programs(unittest.TestCase):
    """The programs compute what they say, in every mode."""

    def test_primes(self):
        for program, mode in (("asyncio", "tasks"), ("asyncio", "threads"),
                              ("asyncio", "processes"), ("weft", "tasks"), ("weft", "processes")):
            got = PROGRAMS.run(program, "primes", {"tasks": 3, "limit": 100, "mode": mode})
            self.assertEqual(got["answer"], 3 * 25, (program, mode))

    def test_skynet(self):
        for program in ("asyncio", "weft"):
            got = PROGRAMS.run(program, "skynet", {"leaves": 1000, "min_ms": 1})
            self.assertEqual(got["answer"], 999 * 1000 // 2, program)

    def test_sleepers_sleep(self):
        for program in ("asyncio", "weft", "threads"):
            got = PROGRAMS.run(program, "sleepers", {"tasks": 50, "sleep_ms": 20})
            self.assertGreaterEqual(got["wall_s"], 0.02, program)
            self.assertEqual(got["tasks"], 50)

    def test_blocking_calls_wait_for_each_other_only_on_the_loop(self):
        for program in ("asyncio", "weft"):
            args = {"calls": 4, "call_ms": 50}
            if program == "weft":
                args["workers"] = 1
            got = PROGRAMS.run(program, "blocking", {**args, "mode": "loop"})
            self.assertGreaterEqual(got["wall_s"], 0.2, program)
            got = PROGRAMS.run(program, "blocking", {**args, "mode": "offloaded"})
            self.assertGreaterEqual(got["wall_s"], 0.05, program)

    def test_hogs_miss_no_tick(self):
        for program in ("asyncio", "weft", "threads"):
            got = PROGRAMS.run(program, "hogs", {"phase_ms": 60, "phases": 1, "burn_ms": 1})
            self.assertEqual(got["ticks"], 60, program)
            self.assertLessEqual(got["lateness_p50_ms"], got["lateness_p99_ms"])
            self.assertLessEqual(got["lateness_p99_ms"], got["lateness_max_ms"])

    def test_every_reply_that_the_client_counts_was_served(self):
        args = {"connections": 5, "work_us": 20, "size": 1000, "warm_ms": 10, "run_ms": 60}
        for program, more in (("asyncio", {}), ("weft", {"workers": 1, "reserve": 0}),
                              ("weft", {"workers": 4})):
            got = PROGRAMS.serve(program, "echo", {**args, **more})
            self.assertEqual((got["connections"], got["size"], got["work_us"]), (5, 1000, 20))
            self.assertGreater(got["requests"], 0, program)
            self.assertGreaterEqual(got["served"], got["requests"] + 5, program)
            self.assertAlmostEqual(got["requests_per_s"], got["requests"] / 0.06, delta=1)
            self.assertLessEqual(0.02, got["latency_p50_ms"], program)
            self.assertLessEqual(got["latency_p50_ms"], got["latency_p99_ms"])
            self.assertLessEqual(got["latency_p99_ms"], got["latency_max_ms"])

    def test_a_server_that_does_not_start_is_said(self):
        with self.assertRaises(measure.Failed):
            PROGRAMS.serve("weft", "echo", {"connections": 5, "workers": 10000})

    def test_a_client_that_fails_ends_the_server(self):
        with self.assertRaises(measure.Failed):
            PROGRAMS.serve("asyncio", "echo", {"connections": 5, "run_ms": "soon"})

    def test_an_unknown_argument_is_refused(self):
        for program in ("asyncio", "weft", "threads"):
            with self.assertRaises(measure.Failed):
                PROGRAMS.run(program, "sleepers", {"tasks": 1, "sleep_ms": 1, "naps": 3})


def trace(worker_of, home=0):
    return [{"t0_us": 100.0 * i, "t1_us": 100.0 * i + 90, "worker": worker, "task": i,
             "name": "primes", "stolen": worker != home} for i, worker in enumerate(worker_of)]


class Lanes(unittest.TestCase):
    """What the trace says is in the picture and on the terminal."""

    def timelines(self):
        with tempfile.TemporaryDirectory() as folder:
            result = []
            for name, workers, worker_of in (
                    ("asyncio", 1, [0] * 6), ("weft, 1 worker", 1, [0] * 6),
                    ("weft, 3 workers", 3, [0, 1, 1, 0, 1, 0])):
                path = os.path.join(folder, "trace")
                with open(path, "w", encoding="ascii") as file:
                    file.writelines(json.dumps(bar) + "\n" for bar in trace(worker_of))
                result.append(lanes.load(path, name, workers))
            return result

    def test_every_worker_has_a_lane(self):
        last = self.timelines()[-1]
        self.assertEqual([len(lane.bars) for lane in last.lanes], [3, 3, 0])
        self.assertEqual([lane.steals for lane in last.lanes], [0, 3, 0])

    def test_the_picture_has_a_bar_for_each_task(self):
        document = ElementTree.fromstring(picture.draw(self.timelines()))
        rects = Counter(e.get("class") for e in document.iter("{http://www.w3.org/2000/svg}rect"))
        self.assertEqual(rects["own"], 6 + 6 + 3 + 1)  # and one in the legend
        self.assertEqual(rects["stolen"], 3 + 1)
        self.assertEqual(rects["lane"], 1 + 1 + 3)
        words = " ".join(document.itertext())
        self.assertIn("stole 3 of 3", words)
        self.assertIn("3 of the 6 tasks were stolen", words)

    def test_the_picture_has_a_bar_for_each_echo_server(self):
        rows = [{"label": f"runner {rate}", "connections": 8, "size": 64, "work_us": 50,
                 "requests_per_s": rate, "latency_p50_ms": 1.0, "latency_p99_ms": 2.0}
                for rate in (1000, 4000)]
        document = ElementTree.fromstring(picture.draw(self.timelines(), rows))
        bars = [e for e in document.iter("{http://www.w3.org/2000/svg}rect")
                if e.get("class") == "rate"]
        self.assertEqual(len(bars), 2)
        self.assertAlmostEqual(float(bars[1].get("width")), 4 * float(bars[0].get("width")), 0)
        self.assertIn("4,000/s", " ".join(document.itertext()))

    def test_the_terminal_shows_the_same(self):
        text = lanes.draw(self.timelines(), 100, False)
        self.assertEqual(len([line for line in text.split("\n") if "|" in line]), 5)
        self.assertIn("3 stolen", text)
        self.assertIn("\u2592", text)


class Figures(unittest.TestCase):
    """Rows are made of their rounds as README.md says."""

    def test_medians_and_peaks(self):
        case = plan.Case("hogs", "weft", "weft", {"reserve": 0})
        rounds = [{"wall_s": w, "max_rss_kb": w * 10, "lateness_max_ms": w, "cpu_percent": w}
                  for w in (3, 1, 2)]
        row = measure.make_row(case, rounds)
        self.assertEqual((row["wall_s"], row["max_rss_kb"], row["lateness_max_ms"]), (2, 30, 3))
        self.assertIs(row["reserve"], False)

    def test_speedup_is_of_neighbouring_rounds(self):
        rows = [{"workload": "skynet", "runner": "weft", "reserve": False, "wall_s": 4,
                 "walls_s": [4, 40, 4], "rounds": 3},
                {"workload": "skynet", "runner": "weft", "reserve": True, "wall_s": 2,
                 "walls_s": [2, 20, 1], "rounds": 3}]
        measure.add_speedups(rows)
        self.assertEqual(rows[1]["speedup_one_worker"], 2)
        self.assertNotIn("speedup_one_worker", rows[0])

    def test_a_server_is_as_fast_as_its_requests_are_many(self):
        cases = [plan.Case("echo", "asyncio", "asyncio"),
                 plan.Case("echo", "weft", "weft", {"reserve": 0}),
                 plan.Case("echo", "weft", "weft", {"reserve": 1})]
        rates = ((10, 12), (20, 30, 40), (40, 57, 60))
        rows = [measure.make_row(case, [{"wall_s": 1, "requests_per_s": rate} for rate in of_case])
                for case, of_case in zip(cases, rates)]
        measure.add_speedups(rows)
        self.assertEqual(rows[1]["requests_per_s"], 30)
        self.assertAlmostEqual(rows[1]["speedup_asyncio"], 30 / 11)
        self.assertAlmostEqual(rows[2]["speedup_one_worker"], 1.9)


def load_check():
    loader = SourceFileLoader("check_contrast", os.path.join(ROOT, "scripts/check-contrast"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(loader.name, loader))
    loader.exec_module(module)
    return module


def good_rows(check):
    """Rows that pass every check, whatever the targets are."""
    rows = []
    for workload, runner, mode, reserve in check.ROWS:
        row = {"workload": workload, "runner": runner, "label": runner, "quick": False,
               "workers": 2 if reserve else 1, "wall_s": 0.2, "user_s": 0.1, "sys_s": 0.1,
               "cpu_percent": 50, "max_rss_kb": 1000, "speedup_one_worker": 2.0,
               "serial_share": 0.01, "stats": [{"loop_turns": 1, "steals": 1}] * 2}
        row.update({key: 1 for key in check.OF_WORKLOAD[workload]})
        if mode:
            row["mode"] = mode
        if reserve is not None:
            row["reserve"] = reserve
        if workload == "hogs" and runner == "asyncio":
            row["lateness_p99_ms"] = 50
        rows.append(row)
    return rows


class Check(unittest.TestCase):
    """scripts/check-contrast passes what is good and names what is not."""

    def setUp(self):
        self.check = load_check()
        self.rows = good_rows(self.check)

    def row(self, *wanted):
        return self.rows[self.check.ROWS.index(wanted)]

    def judge(self):
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
            json.dump(self.rows, file)
            file.flush()
            command = [sys.executable, "-B", os.path.join(ROOT, "scripts/check-contrast"), file.name]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout

    def refused(self, text):
        code, output = self.judge()
        self.assertEqual(code, 1, output)
        self.assertIn(text, output)
        self.rows = good_rows(self.check)

    def test_good_rows_pass(self):
        code, output = self.judge()
        self.assertEqual(code, 0, output)

    def test_a_missing_row_is_named(self):
        for number, wanted in enumerate(self.check.ROWS):
            without = copy.deepcopy(self.rows)
            del self.rows[number]
            self.refused(f"there is no row {self.check.describe(*wanted)}")
            self.rows = without

    def test_every_target_can_be_missed(self):
        self.row("hogs", "weft", None, True)["lateness_p99_ms"] = 2.5
        self.refused("hogs: weft's p99 is 2.50 ms late")
        self.row("hogs", "weft", None, True)["lateness_max_ms"] = 20
        self.refused("hogs: weft's worst is 20.00 ms late")
        self.row("hogs", "weft", None, True)["hog_progress"] = 0.8
        self.refused("hogs: beside the ticker they make 0.800")
        self.row("hogs", "asyncio", None, None)["lateness_p99_ms"] = 1
        self.refused("hogs: asyncio's p99 is 1.00 ms late")
        self.row("blocking", "weft", "offloaded", True)["wall_s"] = 0.3
        self.refused("blocking: weft offloaded takes 0.300 s, under 0.25 is asked")
        self.row("blocking", "asyncio+threads", "offloaded", None)["wall_s"] = 0.19
        self.refused("blocking: weft offloaded takes 0.200 s, asyncio 0.190 s")
        self.row("index", "weft", None, True)["output_sha256"] = "other"
        self.refused("index: the runners' output_sha256 differ")
        del self.row("index", "weft", None, False)["serial_share"]
        self.refused("index: serial_share is None")
        self.row("skynet", "weft", None, True)["stats"] = [{"loop_turns": 1, "steals": 0}] * 2
        self.refused("skynet: worker 1 stole nothing")
        self.row("echo", "weft", None, True)["served"] = 0
        self.refused("echo, weft, all workers: 1 requests, 0 served")
        self.row("echo", "asyncio", None, None)["requests_per_s"] = 2
        self.refused("echo, weft, one worker: 1 requests a second, asyncio 2")
        self.row("primes", "weft", "tasks", True)["wall_s"] = "fast"
        self.refused("wall_s is 'fast'")
        self.row("primes", "weft", "tasks", True)["quick"] = True
        self.refused("made with --quick")

    @unittest.skipIf(len(os.sched_getaffinity(0)) < 2, "speed-up is judged on two CPUs or more")
    def test_a_low_speedup_is_named(self):
        for workload, mode in (("primes", "tasks"), ("skynet", None), ("index", None),
                               ("echo", None)):
            self.row(workload, "weft", mode, True)["speedup_one_worker"] = 1.5
            self.refused(f"{workload}: 2 workers are 1.50 times as fast as one")


class Table(unittest.TestCase):
    def test_every_row_and_a_reading_is_there(self):
        rows = good_rows(load_check())
        for row in rows:
            row.setdefault("kernel_bytes_per_task", 0)
        text = table.draw(rows, plan.WORKLOADS)
        self.assertEqual(text.count("\n  -> "), len(plan.WORKLOADS))
        self.assertEqual(len([line for line in text.split("\n") if line.startswith("  ")
                              and "->" not in line]) - 1, len(rows))


if __name__ == "__main__":
    unittest.main()
