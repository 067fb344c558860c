"""Callbacks of the loop: call_soon, call_later, call_at, and what becomes of their failures."""
import asyncio

from scene import Trouble, say_once, scenario, tick, trace, word


def loop():
    return asyncio.get_running_loop()


def say(name):
    trace(f"callback {name}")


@scenario
async def callbacks_run_in_order_between_tasks():
    tasks = [asyncio.create_task(say_once("first task"))]
    loop().call_soon(say, "a")
    tasks.append(asyncio.create_task(say_once("second task")))
    loop().call_soon(say, "b")
    trace("main goes on")
    await asyncio.sleep(0)
    trace("a turn later")
    for task in tasks:
        await task


def say_and_call(names):
    say(names[0])
    if names[1:]:
        loop().call_soon(say_and_call, names[1:])


@scenario
async def what_a_callback_adds_comes_a_turn_later():
    loop().call_soon(say_and_call, "abc")
    loop().call_soon(say_and_call, "xyz")
    await tick("main")


@scenario
async def a_cancelled_callback_does_not_run():
    a, b = loop().call_soon(say, "a"), loop().call_soon(say, "b")
    later = loop().call_later(1, say, "later")
    much_later = loop().call_later(3, say, "much later")
    a.cancel()
    later.cancel()
    await asyncio.sleep(2)
    b.cancel()
    trace("too late for b")
    await asyncio.sleep(2)
    much_later.cancel()


def cancel_that(handles):
    trace("callback cancels")
    handles.pop().cancel()


@scenario
async def a_callback_may_cancel_the_next():
    handles = []
    loop().call_soon(cancel_that, handles)
    loop().call_soon(say, "between")
    handles.append(loop().call_soon(say, "cancelled"))
    loop().call_soon(say, "last")
    await asyncio.sleep(1)


@scenario
async def callbacks_with_a_time_run_by_their_time():
    now = loop().time()
    for name, seconds in (("c", 3), ("a", 1), ("e", 5)):
        loop().call_later(seconds, say, name)
    for name, seconds in (("b", 2), ("d", 4)):
        loop().call_at(now + seconds, say, name)
    for _ in range(6):
        await asyncio.sleep(1.001)
        trace("main wakes")


@scenario
async def no_delay_is_a_later_turn():
    loop().call_later(0, say, "now")
    loop().call_later(-5, say, "long ago")
    trace("main goes on")
    await asyncio.sleep(1)
    trace("main ends")


def spawn_task(name):
    say(name)
    asyncio.create_task(say_once(f"task of {name}"))


@scenario
async def callbacks_may_spawn_tasks():
    loop().call_soon(spawn_task, "a")
    loop().call_later(1, spawn_task, "b")
    await tick("main")
    await asyncio.sleep(2)


def fail(number):
    say(f"fails {number}")
    raise Trouble(number)


@scenario
async def a_callback_that_fails_is_reported_and_stops_nobody():
    loop().set_exception_handler(lambda _, report: trace(f"reported {word(report['exception'])}"))
    loop().call_soon(fail, 1)
    loop().call_soon(say, "a")
    loop().call_soon(fail, 2)
    loop().call_soon(say, "b")
    await asyncio.sleep(1)
    trace("main ends")


@scenario
async def callbacks_set_futures_by_the_clock():
    futures = [loop().create_future() for _ in range(3)]
    for i, seconds in enumerate((2, 1, 3)):
        loop().call_later(seconds, futures[i].set_result, 10 + i)
    for future in futures:
        trace(f"got {await future}")
