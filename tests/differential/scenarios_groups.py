"""Task groups whose owner does work of its own, and what the errors are."""
import asyncio

from scene import Trouble, ending, scenario, trace, word


async def child(name, seconds, result):
    """A result of 0 is a good end, below 0 trouble; above 0 it is trouble when it is cancelled."""
    try:
        await asyncio.sleep(seconds)
    except asyncio.CancelledError as error:
        trace(f"{name} {word(error)}")
        if result > 0:
            raise Trouble(result) from None
        raise
    trace(f"{name} ends")
    if result < 0:
        raise Trouble(-result)


async def body(name, seconds, result, *children):
    async with asyncio.TaskGroup() as group:
        for each in children:
            group.create_task(child(*each))
        try:
            await asyncio.sleep(seconds)
        except asyncio.CancelledError as error:
            trace(f"{name} {word(error)}")
            raise
        trace(f"{name} has slept")
        if result < 0:
            raise Trouble(-result)


async def tell(name, seconds, result, *children):
    try:
        await body(name, seconds, result, *children)
        trace(f"{name} is over")
    except BaseExceptionGroup as error:
        trace(f"{name} {sorted(word(each) for each in error.exceptions)}")


@scenario
async def a_childs_failure_interrupts_the_body():
    await tell("body", 5, 0, ("a", 1, 0), ("b", 2, -1))
    await asyncio.sleep(1)
    trace("main goes on")


@scenario
async def an_error_of_the_body_cancels_the_children():
    await tell("body", 2, -7, ("a", 1, 0), ("b", 3, 0))


@scenario
async def a_good_body_waits_for_the_children():
    await tell("body", 1, 0, ("a", 2, 0), ("b", 3, 0))


@scenario
async def errors_while_being_cancelled_are_errors_too():
    await tell("body", 9, 0, ("a", 1, -1), ("b", 5, 2))


@scenario
async def the_errors_of_body_and_children_come_together():
    await tell("body", 2, -3, ("a", 1, 0), ("b", 5, 4))


@scenario
async def a_cancel_from_outside_reaches_body_and_children():
    task = asyncio.create_task(tell("body", 5, 0, ("a", 1, 0), ("b", 3, 0)))
    await asyncio.sleep(2)
    task.cancel()
    trace(await ending(task))


@scenario
async def an_error_wins_over_a_cancel_from_outside():
    task = asyncio.create_task(tell("body", 5, 0, ("a", 1, 0), ("b", 3, 6)))
    await asyncio.sleep(2)
    task.cancel()
    await asyncio.wait([task])  # what becomes of the cancel then is another matter since 3.13
    trace("main ends")
