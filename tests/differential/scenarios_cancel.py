"""Cancelling: where it is delivered, what catching does, and who gets it first."""
import asyncio

from scene import Trouble, ending, scenario, sleep_for_ever, tick, trace, word


@scenario
async def cancelled_before_its_start_a_task_never_runs():
    task = asyncio.create_task(sleep_for_ever("a"))
    other = asyncio.create_task(tick("other"))
    trace(f"cancel {int(task.cancel())}")
    trace(await ending(task))
    await other


@scenario
async def a_sleep_is_cut_short():
    tasks = [asyncio.create_task(sleep_for_ever(name)) for name in ("a", "b", "c")]
    await asyncio.sleep(1)
    for i in (1, 0, 2):
        trace(f"cancel {int(tasks[i].cancel())}")
    for task in tasks:
        trace(await ending(task))


@scenario
async def an_ended_task_cannot_be_cancelled():
    task = asyncio.create_task(tick("a"))
    await asyncio.sleep(1)
    trace(f"cancel {int(task.cancel())}")
    trace(f"cancelling {task.cancelling()}")
    trace(await ending(task))


async def cancel_oneself(name, then_wait):
    trace(f"{name} cancels itself: {int(asyncio.current_task().cancel())}")
    if then_wait:
        try:
            await asyncio.sleep(0)
            trace("not reached")
        except asyncio.CancelledError as error:
            trace(f"{name} {word(error)}")
            raise
    trace(f"{name} returns")


@scenario
async def who_cancels_itself_goes_on_to_its_next_wait():
    trace(await ending(asyncio.create_task(cancel_oneself("a", True))))
    trace(await ending(asyncio.create_task(cancel_oneself("b", False))))


async def catch_once(name):
    try:
        await asyncio.sleep(3600)
    except asyncio.CancelledError:
        trace(f"{name} catches, cancelling {asyncio.current_task().cancelling()}")
    await asyncio.sleep(1)
    trace(f"{name} has slept on, cancelling {asyncio.current_task().cancelling()}")
    return 5


@scenario
async def a_caught_cancel_is_over():
    task = asyncio.create_task(catch_once("a"))
    await asyncio.sleep(1)
    task.cancel()
    trace(await ending(task))


@scenario
async def who_caught_a_cancel_can_be_cancelled_again():
    task = asyncio.create_task(catch_once("a"))
    await asyncio.sleep(1)
    task.cancel()
    await asyncio.sleep(0)
    trace(f"cancelling {task.cancelling()}")
    task.cancel()
    trace(f"cancelling {task.cancelling()}")
    trace(await ending(task))


@scenario
async def two_cancels_before_the_task_runs_are_delivered_once():
    task = asyncio.create_task(catch_once("a"))
    await asyncio.sleep(1)
    trace(f"cancel {int(task.cancel())}")
    trace(f"cancel {int(task.cancel())}")
    trace(f"cancelling {task.cancelling()}")
    trace(await ending(task))


async def await_and_say(name, task):
    trace(f"{name} awaits")
    result = await ending(task)
    trace(f"{name} got {result}")
    if result == "cancelled":
        raise asyncio.CancelledError
    return int(result)


@scenario
async def a_cancel_goes_to_the_awaited_task_first():
    inner = asyncio.create_task(sleep_for_ever("inner"))
    middle = asyncio.create_task(await_and_say("middle", inner))
    outer = asyncio.create_task(await_and_say("outer", middle))
    await asyncio.sleep(1)
    trace(f"cancel {int(outer.cancel())}")
    trace(await ending(outer))


@scenario
async def an_awaited_task_may_refuse_the_cancel():
    inner = asyncio.create_task(catch_once("inner"))
    outer = asyncio.create_task(await_and_say("outer", inner))
    await asyncio.sleep(1)
    trace(f"cancel {int(outer.cancel())}")
    trace(await ending(outer))


async def clean_up_slowly(name):
    try:
        await asyncio.sleep(3600)
    except asyncio.CancelledError:
        trace(f"{name} cleans up")
        await asyncio.sleep(2)
        trace(f"{name} is clean")
        raise


@scenario
async def the_awaiter_waits_for_the_cleanup():
    tasks = [asyncio.create_task(clean_up_slowly("a")), asyncio.create_task(sleep_for_ever("b"))]
    await asyncio.sleep(1)
    for task in tasks:
        task.cancel()
    for task in tasks:
        trace(await ending(task))


async def fail_when_cancelled(number):
    try:
        await asyncio.sleep(3600)
    except asyncio.CancelledError:
        raise Trouble(number) from None


@scenario
async def an_error_while_being_cancelled_is_the_tasks_error():
    task = asyncio.create_task(fail_when_cancelled(4))
    await asyncio.sleep(1)
    task.cancel()
    trace(await ending(task))


async def count_down(name):
    task = asyncio.current_task()
    try:
        await asyncio.sleep(3600)
    except asyncio.CancelledError:
        trace(f"{name} cancelling {task.cancelling()}")
        trace(f"{name} uncancel {task.uncancel()}")
        trace(f"{name} uncancel {task.uncancel()}")
        trace(f"{name} uncancel {task.uncancel()}")
    await asyncio.sleep(0)
    trace(f"{name} went on")


@scenario
async def requests_are_counted_and_taken_back():
    task = asyncio.create_task(count_down("a"))
    await asyncio.sleep(1)
    task.cancel()
    task.cancel()
    trace(await ending(task))


@scenario
async def a_cancelled_task_is_not_over_at_once():
    task = asyncio.create_task(sleep_for_ever("a"))
    await asyncio.sleep(1)
    task.cancel()
    trace(f"done {int(task.done())}")
    await asyncio.sleep(0)
    trace(f"done {int(task.done())}")
    trace(await ending(task))


async def cancel_that(name, task):
    trace(f"{name} cancels: {int(task.cancel())}")
    await tick(name)


@scenario
async def tasks_cancel_each_other():
    first = asyncio.create_task(sleep_for_ever("first"))
    second = asyncio.create_task(cancel_that("second", first))
    third = asyncio.create_task(cancel_that("third", second))
    for task in (first, second, third):
        trace(await ending(task))
