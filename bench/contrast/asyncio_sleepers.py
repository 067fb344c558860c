"""a. Many tasks that sleep and are gathered: what a waiting task costs."""

import asyncio

from asyncio_common import status_kb, timed


async def sleeper(seconds, living):
    living["now"] += 1
    if living["now"] == living["all"]:  # the last one has begun: everybody sleeps now
        living["kb"] = status_kb("VmRSS", "VmPTE")
    await asyncio.sleep(seconds)


async def sleepers(tasks, seconds):
    before_kb = status_kb("VmRSS", "VmPTE")
    living = {"now": 0, "all": tasks, "kb": before_kb}
    await asyncio.gather(*(sleeper(seconds, living) for _ in range(tasks)))
    return (living["kb"] - before_kb) * 1024 / tasks


def run(args):
    tasks = args.number("tasks", 10_000)
    seconds = args.number("sleep_ms", 100) / 1000
    wall, bytes_per_task = timed(sleepers, tasks, seconds)
    return {"wall_s": wall, "tasks": tasks, "bytes_per_task": round(bytes_per_task)}
