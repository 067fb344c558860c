"""What the asyncio programs share: arguments, clock, memory, percentiles."""

import asyncio
import json
import time


class Args:
    """The `key=value` arguments of a program. One that nobody asked for is a mistake."""

    def __init__(self, words):
        self._given = dict(word.split("=", 1) for word in words)
        self._unused = set(self._given)

    def text(self, key, default):
        self._unused.discard(key)
        return self._given.get(key, default)

    def number(self, key, default):
        return int(self.text(key, default))

    def refuse_unused(self):
        if self._unused:
            raise SystemExit(f"unknown argument: {', '.join(sorted(self._unused))}")


def timed(main, *args):
    """Run the coroutine function as asyncio's main; return (seconds, its result)."""
    began = time.perf_counter()
    result = asyncio.run(main(*args))
    return time.perf_counter() - began, result


def status_kb(*names):
    """The sum of the named fields of /proc/self/status, in KiB."""
    total = 0
    with open("/proc/self/status", encoding="ascii") as status:
        for line in status:
            name, _, value = line.partition(":")
            if name in names:
                total += int(value.split()[0])
    return total


def peak_memory_kb():
    """This process's own peak. The rusage of a child also counts what it was before its exec."""
    return status_kb("VmHWM")


def percentile(ordered, share):
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


class Trace:
    """Begin and end of every task, one JSON object a line, for the picture."""

    def __init__(self, path):
        self._path = path
        self._epoch = time.perf_counter()
        self._bars = []

    def now(self):
        return time.perf_counter() - self._epoch

    def bar(self, task, name, began):
        self._bars.append({
            "t0_us": began * 1e6, "t1_us": self.now() * 1e6,
            "worker": 0, "task": task, "name": name, "stolen": False,
        })

    def write(self):
        if not self._path:
            return
        with open(self._path, "w", encoding="ascii") as out:
            for bar in self._bars:
                out.write(json.dumps(bar) + "\n")
