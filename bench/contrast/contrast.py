#!/usr/bin/env python3
"""The same workloads in CPython's asyncio and in weft, measured side by side.

Prints a table and writes contrast.json (every figure) and contrast.svg (who ran what, when).
scripts/demo builds the programs and calls this.
"""

import sys

sys.dont_write_bytecode = True  # the folder of the sources stays as it is

# pylint: disable=wrong-import-position
import argparse
import json
import os
import shutil
import subprocess
import tempfile
import time

import lanes
import measure
import picture
import plan
import table

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


class Progress:
    """One line that is written over on a terminal, one line a case elsewhere."""

    def __init__(self, runs):
        self._runs = runs
        self._done = 0
        self._terminal = sys.stdout.isatty()
        self._began = time.monotonic()

    def running(self, case, number):
        self._done += 1
        text = f"[{self._done}/{self._runs}] {case.workload}: {case.label}"
        if case.rounds > 1:
            text += f", round {number + 1} of {case.rounds}"
        if self._terminal:
            elapsed = time.monotonic() - self._began
            print(f"\r\x1b[K{elapsed:4.0f} s  {text}", end="", flush=True)
        elif number == 0:
            print(text, flush=True)

    def done(self):
        if self._terminal:
            print("\r\x1b[K", end="")
        print(f"{self._done} runs in {time.monotonic() - self._began:.0f} s")
        print()


def arguments():
    parser = argparse.ArgumentParser(
        prog="scripts/demo", description="The same workloads in CPython's asyncio and in weft, "
        "with one worker and with all: one table, contrast.json, and a picture, contrast.svg.")
    names = [workload.name for workload in plan.WORKLOADS]
    parser.add_argument("--only", metavar="WORKLOAD", action="append", default=[],
                        help=f"only this workload (may be given again): {', '.join(names)}")
    parser.add_argument("--quick", action="store_true",
                        help="smaller workloads and fewer rounds: half a minute, rough figures")
    parser.add_argument("--workers", type=int, default=0, metavar="N",
                        help="how many workers 'all' means (default: the usable CPUs)")
    parser.add_argument("--programs", default=os.path.join(ROOT, "build/demo/bench"),
                        metavar="DIR", help="where weft-contrast, threads-contrast and echo-load were built")
    parser.add_argument("--out", default=os.path.join(ROOT, "build/demo"), metavar="DIR",
                        help="where contrast.json and contrast.svg go (default: build/demo)")
    parser.add_argument("--python", default=default_python(), metavar="PATH",
                        help="the CPython that runs the asyncio programs (default: %(default)s)")
    parser.add_argument("--text", default="/usr/share/unicode", metavar="DIR",
                        help="the text files of the index workload (default: %(default)s)")
    parser.add_argument("--check-options", action="store_true", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    chosen.only = [name for part in chosen.only for name in part.split(",")]
    for name in chosen.only:
        if name not in names:
            parser.error(f"there is no workload '{name}'; there are {', '.join(names)}")
    if not 0 <= chosen.workers <= 256:
        parser.error("--workers takes 1 to 256")
    return chosen


def default_python():
    """The system's own, which a package has tested; another `python3` may be in front of it."""
    return "/usr/bin/python3" if os.access("/usr/bin/python3", os.X_OK) else sys.executable


def python_version(python):
    code = "import sys; print(sys.implementation.name, '.'.join(map(str, sys.version_info[:3])))"
    name, version = subprocess.check_output([python, "-c", code], text=True).split()
    if tuple(map(int, version.split(".")[:2])) < (3, 11):
        raise SystemExit(f"{python} is Python {version}; the asyncio programs need 3.11")
    return f"{'CPython' if name == 'cpython' else name} {version}"


def trace_primes(programs, workers, quick, scratch, version):
    """The timelines of the picture, each the quickest of three: what else the machine does is not
    its subject. They are runs of their own, so that nothing measured is traced."""
    tasks = {"tasks": 16} if quick else {}
    path = os.path.join(scratch, "trace.jsonl")
    timelines = []
    runs = 1 if quick else 3
    for title, program, count, args in (
            (f"asyncio ({version})", "asyncio", 1, {}),
            ("weft, 1 worker", "weft", 1, {"workers": 1, "reserve": 0}),
            (f"weft, {workers} worker{'s'[:workers > 1]}", "weft", workers, {"workers": workers})):
        found = []
        for _ in range(runs):
            programs.run(program, "primes", {**tasks, **args, "trace": path})
            found.append(lanes.load(path, title, count))
        timelines.append(min(found, key=lambda timeline: timeline.length_us))
    return timelines


def write(path, text):
    """All of it or nothing: a reader never sees half a file."""
    with open(path + ".new", "w", encoding="utf-8") as file:
        file.write(text)
    os.replace(path + ".new", path)


def show_lanes(timelines):
    if sys.stdout.isatty():
        columns = shutil.get_terminal_size().columns
        print(lanes.draw(timelines, columns, "NO_COLOR" not in os.environ))
        print()


def usable_cpus(programs):
    """What weft itself takes for all workers: the affinity, and the quota of the cgroup."""
    return programs.run("weft", "primes", {"tasks": 1, "limit": 10})["workers"]


def main():
    sys.stdout.reconfigure(errors="replace")  # the terminal may not know the lanes' letters
    chosen = arguments()
    if chosen.check_options:
        return 0
    programs = measure.Programs(chosen.programs, chosen.python)
    if missing := programs.missing():
        raise SystemExit(f"not there: {', '.join(missing)}; scripts/demo builds them")
    version = python_version(chosen.python)
    workers = chosen.workers or usable_cpus(programs)
    if workers == 1 and not chosen.workers:
        print("There is one CPU here: more workers will not be faster than one.")
    cases = plan.chosen_cases(workers, chosen.only, chosen.quick, {"root": chosen.text})
    print(f"asyncio of {version}, weft with 1 and with {workers} "
          f"worker{'s'[:workers > 1]}, on {os.cpu_count()} CPUs")
    progress = Progress(sum(case.rounds for case in cases))
    with tempfile.TemporaryDirectory(prefix="weft-contrast-") as scratch:
        rows = measure.run_cases(cases, programs, progress, scratch)
        timelines = trace_primes(programs, workers, chosen.quick, scratch, version)
    progress.done()
    for row in rows:
        row["quick"] = chosen.quick
        if row["runner"].startswith("asyncio"):
            row["python"] = version
    print(table.draw(rows, plan.WORKLOADS))
    print()
    if (others := measure.others_percent(rows)) >= 5:
        print(f"Other programs used {others:.0f} % of the machine meanwhile: measure again on a "
              "quiet one.")
        print()
    show_lanes(timelines)
    os.makedirs(chosen.out, exist_ok=True)
    results = os.path.join(chosen.out, "contrast.json")
    drawing = os.path.join(chosen.out, "contrast.svg")
    write(results, json.dumps(rows, indent=1) + "\n")
    write(drawing, picture.draw(timelines, [row for row in rows if row["workload"] == "echo"]))
    print(f"every figure: {os.path.relpath(results)}")
    print(f"the picture:  {os.path.relpath(drawing)}")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except measure.Failed as failed:
        sys.exit(f"\n{failed}")
    except KeyboardInterrupt:
        sys.exit(130)
