"""Runs the programs, and makes one row out of a case's rounds."""

import hashlib
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time

SECONDS_MOST = 120  # one run takes far less; this ends a program that hangs

MEDIANS = (
    "wall_s", "user_s", "sys_s", "cpu_percent", "bytes_per_task", "kernel_bytes_per_task",
    "lateness_p50_ms", "lateness_p99_ms", "hog_units_per_s", "hog_units_per_s_alone",
    "hog_progress", "serial_share", "others_percent", "requests_per_s", "latency_p50_ms",
    "latency_p99_ms", "client_cpu_percent",
)
WORST = ("max_rss_kb", "lateness_max_ms", "latency_max_ms")
LOAD_KEYS = ("size", "warm_ms", "run_ms")  # arguments of the client, not of the server


class Failed(Exception):
    pass


class Programs:
    """Knows how each program is called."""

    def __init__(self, folder, python):
        here = os.path.dirname(os.path.abspath(__file__))
        self._commands = {
            "asyncio": [python, os.path.join(here, "asyncio_program.py")],
            "weft": [os.path.join(folder, "weft-contrast")],
            "threads": [os.path.join(folder, "threads-contrast")],
            "load": [os.path.join(folder, "echo-load")],
        }

    def missing(self):
        return [command[-1] for command in self._commands.values()
                if not os.path.exists(command[-1])]

    def run(self, program, workload, args):
        """Run it once; return its figures with what the kernel measured."""
        return run_once(self._command(program, workload, args))

    def serve(self, program, workload, args):
        """Run it as a server, and the client beside it; return the figures of both."""
        load = {key: args[key] for key in LOAD_KEYS if key in args}
        args = {key: value for key, value in args.items() if key not in LOAD_KEYS}
        if "connections" in args:
            load["connections"] = args["connections"]

        def client(port):
            return self.run("load", workload, {"port": int(port), **load})

        return run_once(self._command(program, workload, args), client)

    def _command(self, program, workload, args):
        words = [f"{key}={value}" for key, value in args.items()]
        return self._commands[program] + [workload] + words


def clean_environment():
    """What would turn a measured run into another one must not leak into it."""
    environment = {key: value for key, value in os.environ.items()
                   if not key.startswith(("WEFT_", "PYTHON"))}
    environment["PYTHONDONTWRITEBYTECODE"] = "1"
    return environment


def machine_cpu_s():
    """The CPU time that everything on the machine has used, and its host has taken away."""
    with open("/proc/stat", encoding="ascii") as file:
        _, user, nice, system, _, _, irq, softirq, steal, *_ = file.readline().split()
    ticks = sum(map(int, (user, nice, system, irq, softirq, steal)))
    return ticks / os.sysconf("SC_CLK_TCK")


def run_once(command, client=None):
    """Run a program; the client is called with the first line that the program prints."""
    theirs = {}
    with tempfile.TemporaryFile() as errors:
        began, busy = time.perf_counter(), machine_cpu_s()
        # A session of its own: its processes can be ended together.
        child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors,
                                 stdin=subprocess.DEVNULL, env=clean_environment(),
                                 start_new_session=True)
        watchdog = threading.Timer(SECONDS_MOST, os.killpg, (child.pid, signal.SIGKILL))
        watchdog.start()
        try:
            if client and (line := child.stdout.readline()):
                theirs = client(line)
            output = child.stdout.read()
            _, status, usage = os.wait4(child.pid, 0)
        except BaseException:
            os.killpg(child.pid, signal.SIGKILL)
            raise
        finally:
            watchdog.cancel()
            child.stdout.close()
        child.returncode = os.waitstatus_to_exitcode(status)
        elapsed, busy = time.perf_counter() - began, machine_cpu_s() - busy
        errors.seek(0)
        complaint = errors.read().decode(errors="replace").strip()
    if child.returncode != 0:
        raise Failed(f"{' '.join(command)}\nended with {child.returncode}\n{complaint}")
    if complaint:
        print(complaint, file=sys.stderr)
    cpu = usage.ru_utime + usage.ru_stime
    others = max(0.0, busy - cpu - cpu_of(theirs)) / (elapsed * os.cpu_count())
    figures = with_client(json.loads(output), theirs)
    figures.update(user_s=usage.ru_utime, sys_s=usage.ru_stime, cpu_percent=100 * cpu / elapsed,
                   others_percent=100 * others)
    return figures


def cpu_of(figures):
    return figures.get("user_s", 0) + figures.get("sys_s", 0)


def with_client(figures, theirs):
    """A server's figures, and of its client's what the client alone knows."""
    if theirs:
        figures["client_cpu_percent"] = theirs["cpu_percent"]
    return {**theirs, **figures}


def digest(path):
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def make_row(case, rounds):
    """One row: medians of the rounds; of peaks the highest."""
    row = {"workload": case.workload, "runner": case.runner, "label": case.label, **rounds[-1]}
    for key in MEDIANS:
        if key in row:
            row[key] = statistics.median(figures[key] for figures in rounds)
    for key in WORST:
        if key in row:
            row[key] = max(figures[key] for figures in rounds)
    row["rounds"] = len(rounds)
    row["walls_s"] = [figures["wall_s"] for figures in rounds]
    if "requests_per_s" in row:
        row["rates"] = [figures["requests_per_s"] for figures in rounds]
    if case.program == "weft":
        row["reserve"] = case.args.get("reserve", 1) != 0
    return row


def asyncio_row(row, same):
    """What a row is compared with: asyncio; for offloaded calls, asyncio's offloaded calls."""
    if row["runner"] == "weft" and row.get("mode") == "offloaded":
        return next((r for r in same if r["runner"] == "asyncio+threads"), None)
    return next((r for r in same if r["runner"] == "asyncio"), None)


def speed(row, number=None):
    """Of a row, or of one of its rounds; a higher one is better."""
    if "requests_per_s" in row:
        return row["requests_per_s"] if number is None else row["rates"][number]
    return 1 / (row["wall_s"] if number is None else row["walls_s"][number])


def add_speedups(rows):
    """How many times as fast as asyncio, and as weft with one worker (median of paired rounds)."""
    for row in rows:
        if row["workload"] == "hogs":
            continue  # it runs for a given time
        same = [other for other in rows if other["workload"] == row["workload"]]
        base = asyncio_row(row, same)
        if base and row is not base:
            row["speedup_asyncio"] = speed(row) / speed(base)
        one = next((r for r in same if r.get("reserve") is False
                    and r.get("mode") == row.get("mode")), None)
        if one and row["runner"] == "weft" and row is not one:
            row["speedup_one_worker"] = statistics.median(
                speed(row, i) / speed(one, i) for i in range(min(one["rounds"], row["rounds"])))


def others_percent(rows):
    """What everything else used of the machine meanwhile: of the rows, the median."""
    return statistics.median(row["others_percent"] for row in rows)


def run_cases(cases, programs, progress, scratch):
    """Run every case, the rounds of a workload's cases in turns; return the rows."""
    rows = []
    for workload in dict.fromkeys(case.workload for case in cases):
        mine = [case for case in cases if case.workload == workload]
        results = {id(case): [] for case in mine}
        for number in range(max(case.rounds for case in mine)):
            for case in mine:
                if number < case.rounds:
                    progress.running(case, number)
                    results[id(case)].append(run_case(case, programs, scratch))
        rows += [make_row(case, results[id(case)]) for case in mine]
    add_speedups(rows)
    return rows


def run_case(case, programs, scratch):
    if case.workload == "echo":
        return programs.serve(case.program, case.workload, case.args)
    if case.workload != "index":
        return programs.run(case.program, case.workload, case.args)
    out = os.path.join(scratch, "index.txt")
    figures = programs.run(case.program, case.workload, {**case.args, "out": out})
    figures["output_sha256"] = digest(out)
    os.unlink(out)
    return figures
