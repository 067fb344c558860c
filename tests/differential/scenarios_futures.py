"""Futures: callbacks, awaiters, cancelling, and tasks with several awaiters."""
import asyncio

from scene import Trouble, ending, say_once, scenario, tick, trace, word


def new_future():
    return asyncio.get_running_loop().create_future()


def call(name):
    return lambda future: trace(f"callback {name}")


async def await_future(name, future):
    trace(f"{name} awaits")
    result = await ending(future)
    trace(f"{name} got {result}")


def wait_for_it(future, *names):
    return [asyncio.create_task(await_future(name, future)) for name in names]


@scenario
async def callbacks_come_in_order_and_later():
    future = new_future()
    for name in ("a", "b", "c"):
        future.add_done_callback(call(name))
    task = asyncio.create_task(say_once("task"))
    future.set_result(None)
    trace("set")
    late = asyncio.create_task(say_once("late task"))
    await asyncio.sleep(0)
    trace("a turn later")
    await task
    await late


@scenario
async def callbacks_and_awaiters_take_turns():
    future = new_future()
    tasks = wait_for_it(future, "first")
    await asyncio.sleep(0)
    future.add_done_callback(call("between"))
    tasks += wait_for_it(future, "second")
    await asyncio.sleep(0)
    future.add_done_callback(call("last"))
    future.set_result(5)
    for task in tasks:
        await task


@scenario
async def a_callback_added_late_comes_later_still():
    future = new_future()
    future.set_result(None)
    before = asyncio.create_task(say_once("before"))
    future.add_done_callback(call("a"))
    between = asyncio.create_task(say_once("between"))
    future.add_done_callback(call("b"))
    trace("added")
    await asyncio.sleep(0)
    trace("a turn later")
    await before
    await between


@scenario
async def callbacks_may_be_taken_back():
    future = new_future()
    a, b = call("a"), call("b")
    for callback in (a, b, a, b, a):
        future.add_done_callback(callback)
    trace(f"taken back {future.remove_done_callback(a)}")
    trace(f"taken back {future.remove_done_callback(a)}")
    future.set_result(None)
    await asyncio.sleep(0)
    trace(f"taken back {future.remove_done_callback(b)}")


@scenario
async def a_future_is_over_once():
    future = new_future()
    for attempt in (future.result, lambda: future.set_result(1), lambda: future.set_result(2),
                    lambda: future.set_exception(Trouble(3)), future.result):
        try:
            trace(word(attempt()))
        except asyncio.InvalidStateError as error:
            trace(word(error))
    trace(f"cancel {int(future.cancel())}")
    trace(f"cancelled {int(future.cancelled())}")


@scenario
async def everybody_gets_the_error():
    future = new_future()
    tasks = wait_for_it(future, "a", "b", "c")
    await asyncio.sleep(1)
    future.set_exception(Trouble(4))
    trace("failed")
    for task in tasks:
        await task


@scenario
async def a_cancelled_future_wakes_everybody():
    future = new_future()
    future.add_done_callback(call("first"))
    tasks = wait_for_it(future, "a", "b")
    await asyncio.sleep(1)
    trace(f"cancel {int(future.cancel())}")
    trace(f"cancel {int(future.cancel())}")
    for task in tasks:
        await task
    trace(f"cancelled {int(future.cancelled())}")


@scenario
async def cancelling_one_awaiter_cancels_the_future():
    future = new_future()
    tasks = wait_for_it(future, "a", "b")
    await asyncio.sleep(1)
    tasks[0].cancel()
    for task in tasks:
        await task
    trace(f"cancelled {int(future.cancelled())}")


async def set_that(name, future, value):
    future.set_result(value)
    await tick(name)


@scenario
async def a_future_passes_a_value_within_a_turn():
    future = new_future()
    waiting = wait_for_it(future, "a")
    setting = asyncio.create_task(set_that("setter", future, 9))
    other = asyncio.create_task(tick("other"))
    for task in (*waiting, setting, other):
        await task


@scenario
async def futures_set_each_other():
    futures = [new_future() for _ in range(3)]
    for i in (0, 1):
        def pass_on(future, i=i):
            trace(f"callback {i}")
            futures[i + 1].set_result(future.result() + 1)
        futures[i].add_done_callback(pass_on)
    waiting = wait_for_it(futures[2], "a")
    await asyncio.sleep(0)
    futures[0].set_result(1)
    ticking = asyncio.create_task(tick("turns"))
    for task in (*waiting, ticking):
        await task


async def slow_answer(seconds, result):
    await asyncio.sleep(seconds)
    trace("the task ends")
    return result


@scenario
async def a_task_with_several_awaiters():
    shared = asyncio.create_task(slow_answer(1, 7))
    for task in wait_for_it(shared, "a", "b", "c"):
        await task
    trace(f"main got {await ending(shared)}")


async def await_quietly(future):
    return f"got {await ending(future)}"


@scenario
async def cancelling_one_awaiter_cancels_the_task_for_all():
    # In one turn both awaiters learn of it: which is first is not for a program to rely on.
    shared = asyncio.create_task(slow_answer(5, 7))
    awaiters = [asyncio.create_task(await_quietly(shared)) for _ in range(2)]
    await asyncio.sleep(1)
    awaiters[0].cancel()
    for task in awaiters:
        trace(await task)


async def await_shielded(name, awaitable):
    trace(f"{name} awaits")
    try:
        result = await asyncio.shield(awaitable)
        trace(f"{name} got {result}")
    except asyncio.CancelledError as error:
        trace(f"{name} {word(error)}")
        raise


@scenario
async def a_shield_keeps_the_cancel_out():
    inner = asyncio.create_task(slow_answer(3, 7))
    outer = asyncio.create_task(await_shielded("outer", inner))
    await asyncio.sleep(1)
    outer.cancel()
    trace(await ending(outer))
    await asyncio.sleep(5)
    trace("main ends")


@scenario
async def what_ends_inside_a_shield_shows_outside():
    future = new_future()
    outer = asyncio.create_task(await_shielded("outer", future))
    await asyncio.sleep(1)
    future.cancel()
    trace(await ending(outer))
    done = new_future()
    done.set_result(8)
    trace(f"main got {await asyncio.shield(done)}")


@scenario
async def a_shielded_task_survives_the_time_limit():
    inner = asyncio.create_task(slow_answer(3, 7))
    trace(await ending(asyncio.wait_for(asyncio.shield(inner), 1)))
    await asyncio.sleep(5)
    trace("main ends")
