"""g. An echo server, with some computing for each request, over TCP. echo-load is the client.

Says the port in a line of its own, serves as many connections as it was told, and ends with the last
of them.
"""

import asyncio
import time

from asyncio_common import timed

UNIT = 100  # additions between two looks at the clock: a few us


def compute(seconds):
    """Compute until the thread has used so much CPU time: while it does not run, nothing is done."""
    until = time.thread_time() + seconds
    total = 0
    while time.thread_time() < until:
        for number in range(UNIT):
            total += number


async def serve(connections, work_s):
    done = asyncio.Event()
    requests = 0

    async def echo(reader, writer):
        nonlocal connections, requests
        while data := await reader.read(4096):
            compute(work_s)
            writer.write(data)
            await writer.drain()
            requests += 1
        writer.close()
        connections -= 1
        if connections == 0:
            done.set()

    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    async with server:
        await done.wait()
    return requests


def run(args):
    connections = args.number("connections", 32)
    work_us = args.number("work_us", 50)
    wall, served = timed(serve, connections, work_us / 1e6)
    return {"wall_s": wall, "work_us": work_us, "served": served}
