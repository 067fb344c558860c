"""Exit stacks: cleanup on every way out, last opened first closed."""
import asyncio
from contextlib import AsyncExitStack

from scene import Trouble, ending, scenario, tick, trace, word


async def close(name, seconds=0):
    trace(f"{name} closes")
    if seconds:
        await asyncio.sleep(seconds)
        trace(f"{name} is closed")


async def open_three(name, seconds, result):
    async with AsyncExitStack() as stack:
        for i in range(3):
            trace(f"{name} opens {i}")
            stack.push_async_callback(close, f"{name} {i}", seconds)
        await asyncio.sleep(2)
        trace(f"{name} is at the end of its body")
        if result < 0:
            raise Trouble(-result)
        return result


@scenario
async def the_last_opened_is_closed_first():
    trace(await ending(open_three("a", 0, 5)))


@scenario
async def cleanup_runs_after_an_error():
    trace(await ending(open_three("a", 1, -4)))


@scenario
async def cleanup_runs_to_its_end_after_a_cancel():
    task = asyncio.create_task(open_three("a", 1, 5))
    await asyncio.sleep(1)
    task.cancel()
    trace(await ending(task))


@scenario
async def two_tasks_clean_up_side_by_side():
    tasks = [asyncio.create_task(open_three("slow", 5, 1)),
             asyncio.create_task(open_three("quick", 1, 2))]
    for task in tasks:
        trace(await ending(task))


async def take_trouble_away(error_type, error, traceback):
    trace(f"told of {'nothing' if error is None else word(error)}")
    return isinstance(error, Trouble)


async def body_with_watcher(result):
    async with AsyncExitStack() as stack:
        stack.push_async_callback(close, "outermost")
        stack.push_async_exit(take_trouble_away)
        stack.push_async_callback(close, "innermost")
        if result < 0:
            raise Trouble(-result)
    return 0


@scenario
async def an_exit_may_take_the_error_away():
    trace(await ending(body_with_watcher(0)))
    trace(await ending(body_with_watcher(-3)))


@scenario
async def a_failing_cleanup_is_the_result_of_a_good_body():
    async def fail_to_close(number):
        trace(f"trouble {number} while closing")
        raise Trouble(number)

    async def body():
        async with AsyncExitStack() as stack:
            stack.push_async_callback(close, "first")
            stack.push_async_callback(fail_to_close, 8)
            stack.push_async_callback(close, "last")

    trace(await ending(body()))


@scenario
async def what_is_open_may_be_handed_on():
    async with AsyncExitStack() as stack:
        stack.push_async_callback(close, "a")
        stack.push_async_callback(close, "b")
        kept = stack.pop_all()
    trace("left, nothing closed")
    await kept.aclose()


@scenario
async def scopes_nest():
    ticking = asyncio.create_task(tick("other"))
    async with AsyncExitStack() as outer:
        outer.push_async_callback(close, "outer", 1)
        async with AsyncExitStack() as inner:
            inner.push_async_callback(close, "inner", 1)
            trace("inside")
        trace("between")
    trace("outside")
    await ticking
