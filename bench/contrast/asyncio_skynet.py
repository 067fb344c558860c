"""c. Fork-join: every task starts ten, down to a million leaves, and adds up what they return."""

import asyncio
import time

from asyncio_common import timed


async def skynet(first, leaves):
    if leaves == 1:
        return first
    leaves //= 10
    # Plain tasks, awaited in turn: gather and TaskGroup take twice as long here.
    children = [asyncio.create_task(skynet(first + i * leaves, leaves)) for i in range(10)]
    total = 0
    for child in children:
        total += await child
    return total


async def repeat(leaves, at_least):
    began = time.perf_counter()
    repetitions = 0
    while repetitions == 0 or time.perf_counter() - began < at_least:
        answer = await skynet(0, leaves)
        repetitions += 1
    return repetitions, answer


def run(args):
    leaves = args.number("leaves", 1_000_000)
    at_least = args.number("min_ms", 200) / 1000
    total, (repetitions, answer) = timed(repeat, leaves, at_least)
    return {
        "wall_s": total / repetitions, "repetitions": repetitions,
        "leaves": leaves, "answer": answer,
    }
