"""b. CPU-bound tasks that each count primes: what more cores bring."""

import asyncio
import os
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

from asyncio_common import Trace, timed


def count_primes(limit):
    count = 0
    for number in range(2, limit):
        divisor = 2
        while divisor * divisor <= number:
            if number % divisor == 0:
                break
            divisor += 1
        else:
            count += 1
    return count


async def one_task(task, limit, trace):
    began = trace.now()
    count = count_primes(limit)
    trace.bar(task, "primes", began)
    return count


async def on_the_loop(tasks, limit, trace):
    return sum(await asyncio.gather(*(one_task(i, limit, trace) for i in range(tasks))))


async def in_a_pool(executor, tasks, limit):
    loop = asyncio.get_running_loop()
    with executor as pool:
        jobs = (loop.run_in_executor(pool, count_primes, limit) for _ in range(tasks))
        return sum(await asyncio.gather(*jobs))


def run(args):
    tasks = args.number("tasks", 64)
    limit = args.number("limit", 50_000)
    mode = args.text("mode", "tasks")
    pool = args.number("pool", len(os.sched_getaffinity(0)))
    trace = Trace(args.text("trace", ""))
    result = {"tasks": tasks, "mode": mode}
    if mode == "tasks":
        wall, total = timed(on_the_loop, tasks, limit, trace)
    else:
        executor = {"threads": ThreadPoolExecutor, "processes": ProcessPoolExecutor}[mode]
        wall, total = timed(in_a_pool, executor(pool), tasks, limit)
        result["pool"] = pool
    trace.write()
    return result | {"wall_s": wall, "answer": total}
