"""d. Calls that block a thread: made on the loop, and handed to the default thread pool."""

import asyncio
import time

from asyncio_common import timed


def blocking_call(seconds):
    time.sleep(seconds)


async def on_the_loop(seconds):
    blocking_call(seconds)


async def offloaded(seconds):
    await asyncio.to_thread(blocking_call, seconds)


async def blocking(calls, seconds, one):
    await asyncio.gather(*(one(seconds) for _ in range(calls)))


def run(args):
    calls = args.number("calls", 30)
    seconds = args.number("call_ms", 100) / 1000
    mode = args.text("mode", "loop")
    one = {"loop": on_the_loop, "offloaded": offloaded}[mode]
    wall, _ = timed(blocking, calls, seconds, one)
    return {"wall_s": wall, "calls": calls, "mode": mode}
