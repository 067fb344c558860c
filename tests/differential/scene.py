"""The Python side of the differential test: what the scenarios share. See scene.h."""
import asyncio
import selectors

SCENARIOS = {}


def scenario(function):
    SCENARIOS[function.__name__] = function
    return function


def trace(line):
    print(line)


class Trouble(Exception):
    """The errors of the scenarios themselves; trouble() in scene.h."""


def word(result):
    """What a task came to, in words that both sides share."""
    match result:
        case asyncio.CancelledError():
            return "cancelled"
        case TimeoutError():
            return "timed out"
        case asyncio.InvalidStateError():
            return "invalid state"
        case Trouble():
            return f"trouble {result.args[0]}"
        case BaseExceptionGroup():
            return word(result.exceptions[0])
        case None:
            return "0"
        case BaseException():
            raise result
    return str(result)


async def ending(awaitable):
    """The word for how the awaitable ends; a cancel of the caller counts as caught."""
    try:
        return word(await awaitable)
    except (asyncio.CancelledError, Exception) as error:
        return word(error)


class VirtualTime(selectors.DefaultSelector):
    """Never waits: the clock moves on instead."""

    def __init__(self):
        super().__init__()
        self.now = 0.0

    def select(self, timeout=None):
        events = super().select(0)
        if not events:
            if timeout is None:
                raise RuntimeError("nothing can ever happen again")
            self.now += max(timeout, 0)
        return events

    def time(self):
        self.now += 1e-6  # so that deadlines set one after the other differ
        return self.now


def play(name):
    selector = VirtualTime()
    loop = asyncio.SelectorEventLoop(selector)
    loop.time = selector.time
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        runner.run(SCENARIOS[name]())


async def say_once(name):
    trace(f"{name} runs")


async def sleep_for_ever(name):
    trace(f"{name} sleeps")
    try:
        await asyncio.sleep(3600)
    except asyncio.CancelledError as error:
        trace(f"{name} {word(error)}")
        raise


async def tick(name):
    for turn in range(3):
        trace(f"{name} turn {turn}")
        await asyncio.sleep(0)
