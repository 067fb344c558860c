"""e. A 1 ms ticker beside tasks that hog the CPU: how late the ticker's turns come.

Tick k is due at start + k milliseconds, whether or not the ones before it were late: a ticker that
only asked for "1 ms from now" would leave out most of the ticks that it missed. The hogs also run
alone, in turns with the ticker's phases, to see what the ticker costs them.
"""

import asyncio
import time

from asyncio_common import percentile, timed

UNIT = 300  # additions in one unit of a hog's work: about 10 us, so the clock is read seldom


def burn(seconds):
    """Compute for so long; return how many units of work that came to."""
    until = time.perf_counter() + seconds
    units = 0
    total = 0
    while time.perf_counter() < until:
        for number in range(UNIT):
            total += number
        units += 1
    return units


async def hog(until, burn_s):
    units = 0
    while time.perf_counter() < until:
        units += burn(burn_s)
        await asyncio.sleep(0)
    return units


async def ticker(began, seconds, lateness):
    for tick in range(1, round(seconds * 1000) + 1):
        due = began + tick / 1000
        wait = due - time.perf_counter()
        if wait > 0:
            await asyncio.sleep(wait)
        lateness.append(time.perf_counter() - due)


async def phase(hogs, burn_s, seconds, lateness):
    """One phase; return the hogs' units of work a second."""
    began = time.perf_counter()
    until = began + seconds
    tasks = [hog(until, burn_s) for _ in range(hogs)]
    if lateness is not None:
        tasks.append(ticker(began, seconds, lateness))
    results = await asyncio.gather(*tasks)
    return sum(results[:hogs]) / (time.perf_counter() - began)


async def beside_hogs(hogs, burn_s, seconds, phases):
    lateness = []
    alone = beside = 0
    for _ in range(phases):
        alone += await phase(hogs, burn_s, seconds, None) / phases
        beside += await phase(hogs, burn_s, seconds, lateness) / phases
    return sorted(lateness), alone, beside


def run(args):
    hogs = args.number("hogs", 4)
    burn_s = args.number("burn_ms", 10) / 1000
    seconds = args.number("phase_ms", 1000) / 1000
    phases = args.number("phases", 2)
    wall, (lateness, alone, beside) = timed(beside_hogs, hogs, burn_s, seconds, phases)
    return {
        "wall_s": wall, "ticks": len(lateness),
        "lateness_p50_ms": percentile(lateness, 0.50) * 1000,
        "lateness_p99_ms": percentile(lateness, 0.99) * 1000,
        "lateness_max_ms": lateness[-1] * 1000,
        "hog_units_per_s": beside, "hog_units_per_s_alone": alone, "hog_progress": beside / alone,
    }
