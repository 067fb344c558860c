"""What the contrast runs: the workloads, and for each the runners with their arguments."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Case:
    """One row of the result: a workload under one runner."""

    workload: str
    runner: str
    program: str  # "asyncio", "weft" or "threads"
    args: dict = field(default_factory=dict)
    rounds: int = 1
    label: str = ""


@dataclass(frozen=True)
class Workload:
    name: str
    title: str  # filled in from a row's figures
    quick: dict  # arguments that make it shorter, for every runner


WORKLOADS = (
    Workload("sleepers", "{tasks:,} tasks that sleep 100 ms and are gathered", {}),
    Workload("primes", "{tasks} CPU-bound tasks that each count the primes below 50,000",
             {"tasks": 16}),
    Workload("skynet", "fork-join: a tree of tasks with {leaves:,} leaves", {"leaves": 100_000}),
    Workload("blocking", "{calls} calls that block for 100 ms", {}),
    Workload("hogs", "a 1 ms ticker beside 4 hogs that compute 10 ms between yields",
             {"phase_ms": 400, "phases": 1}),
    Workload("index", "word and name index of {files} files, {bytes:,} bytes, and {queries:,} "
             "queries", {}),
    Workload("echo", "an echo server with {work_us} us of CPU time for each request, {connections} "
             "connections", {"run_ms": 200}),
)

ECHO = {"connections": 32, "work_us": 50, "size": 64, "run_ms": 500}


def weft_cases(workload, workers, rounds, one_rounds=None, **args):
    """weft with one worker, without reserve threads, and with all."""
    return [
        Case(workload, "weft", "weft", {"workers": 1, "reserve": 0, **args}, one_rounds or rounds,
             "weft, 1 worker"),
        Case(workload, "weft", "weft", {"workers": workers, "reserve": 1, **args}, rounds,
             f"weft, {workers} worker{'s'[:workers > 1]}"),
    ]


def all_cases(workers, files):
    """Every case, in the order in which the table shows them."""
    n = workers
    return [
        Case("sleepers", "asyncio", "asyncio", {}, 5, "asyncio"),
        *weft_cases("sleepers", n, 5),
        Case("sleepers", "threads", "threads", {}, 2, "10,000 OS threads"),

        Case("primes", "asyncio", "asyncio", {"mode": "tasks"}, 2, "asyncio"),
        Case("primes", "asyncio+threads", "asyncio", {"mode": "threads", "pool": n}, 2,
             f"asyncio + {n} threads"),
        Case("primes", "asyncio+processes", "asyncio", {"mode": "processes", "pool": n}, 2,
             f"asyncio + {n} processes"),
        *weft_cases("primes", n, 9, mode="tasks"),
        Case("primes", "weft+processes", "weft",
             {"workers": n, "mode": "processes", "pool": n}, 9, f"weft + {n} processes"),

        Case("skynet", "asyncio", "asyncio", {}, 1, "asyncio"),
        *weft_cases("skynet", n, 9),

        Case("blocking", "asyncio", "asyncio", {"mode": "loop"}, 1, "asyncio, on the loop"),
        Case("blocking", "asyncio+threads", "asyncio", {"mode": "offloaded"}, 5,
             "asyncio, to_thread"),
        *[Case(c.workload, c.runner, c.program, c.args, c.rounds, f"{c.label}, on the loop")
          for c in weft_cases("blocking", n, 1, mode="loop")],
        *[Case(c.workload, c.runner, c.program, c.args, c.rounds, f"{c.label}, to_thread")
          for c in weft_cases("blocking", n, 5, mode="offloaded")],

        Case("hogs", "asyncio", "asyncio", {}, 1, "asyncio"),
        *weft_cases("hogs", n, 3, one_rounds=1),
        Case("hogs", "threads", "threads", {}, 1, "5 OS threads"),

        Case("index", "asyncio", "asyncio", files, 2, "asyncio"),
        *weft_cases("index", n, 9, **files),

        Case("echo", "asyncio", "asyncio", ECHO, 2, "asyncio"),
        *weft_cases("echo", n, 5, **ECHO),
    ]


def chosen_cases(workers, only, quick, files):
    shorter = {workload.name: workload.quick for workload in WORKLOADS}
    cases = [case for case in all_cases(workers, files) if not only or case.workload in only]
    if not quick:
        return cases
    return [
        Case(case.workload, case.runner, case.program, {**case.args, **shorter[case.workload]},
             min(case.rounds, 3), case.label)
        for case in cases
    ]
