"""Deadlines: timeout scopes and wait_for."""
import asyncio

from scene import Trouble, ending, scenario, sleep_for_ever, trace, word


async def limited(name, limit, seconds):
    try:
        async with asyncio.timeout(limit) as scope:
            await asyncio.sleep(seconds)
            trace(f"{name} slept {seconds}")
    except (TimeoutError, asyncio.CancelledError) as error:
        trace(f"{name} {word(error)}")
        trace(f"{name} expired {int(scope.expired())}")
        if isinstance(error, asyncio.CancelledError):
            raise
    else:
        trace(f"{name} in time, expired {int(scope.expired())}")


@scenario
async def a_scope_cuts_what_takes_too_long():
    await limited("a", 2, 1)
    await limited("b", 2, 3)
    await asyncio.sleep(1)
    trace("main goes on")


async def nested(name, outer, inner):
    try:
        async with asyncio.timeout(outer):
            try:
                async with asyncio.timeout(inner):
                    try:
                        await asyncio.sleep(9)
                    finally:
                        trace(f"{name} is cut")
            except (TimeoutError, asyncio.CancelledError) as error:
                trace(f"{name} inner {word(error)}")
                raise
            trace(f"{name} between")
    except TimeoutError as error:
        trace(f"{name} outer {word(error)}")


@scenario
async def the_nearest_deadline_of_nested_scopes_counts():
    await nested("long in short", 1, 5)
    await nested("short in long", 5, 1)



@scenario
async def a_scope_without_time_runs_to_its_first_wait():
    try:
        async with asyncio.timeout(0):
            trace("inside")
            await asyncio.sleep(5)
            trace("not reached")
    except TimeoutError as error:
        trace(word(error))
    async with asyncio.timeout(0):
        trace("inside, without a wait")
    trace("no harm done")


@scenario
async def a_deadline_may_be_moved():
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(2) as scope:
            await asyncio.sleep(1)
            scope.reschedule(loop.time() + 4)
            await asyncio.sleep(3)
            trace("longer than at first")
            scope.reschedule(loop.time() + 1)
            await asyncio.sleep(3)
            trace("not reached")
    except TimeoutError as error:
        trace(word(error))


@scenario
async def an_error_passes_through_a_scope():
    try:
        async with asyncio.timeout(2):
            await asyncio.sleep(1)
            raise Trouble(6)
    except (Trouble, TimeoutError) as error:
        trace(word(error))
    try:
        async with asyncio.timeout(2):
            try:
                await asyncio.sleep(3)
            except asyncio.CancelledError:
                raise Trouble(7) from None
    except (Trouble, TimeoutError) as error:
        trace(word(error))


@scenario
async def a_cancel_inside_a_scope_is_no_timeout():
    task = asyncio.create_task(limited("a", 5, 9))
    await asyncio.sleep(1)
    task.cancel()
    trace(await ending(task))


@scenario
async def scopes_of_several_tasks_expire_by_deadline():
    tasks = [asyncio.create_task(limited(f"limit {limit}", limit, 9)) for limit in (3, 1, 4, 2)]
    for task in tasks:
        await task


async def answer(name, seconds, result):
    trace(f"{name} begins")
    try:
        await asyncio.sleep(seconds)
    except asyncio.CancelledError as error:
        trace(f"{name} {word(error)}")
        raise
    return result


@scenario
async def wait_for_a_function():
    trace(await ending(asyncio.wait_for(answer("a", 1, 5), 2)))
    trace(await ending(asyncio.wait_for(answer("b", 3, 5), 2)))
    trace(await ending(asyncio.wait_for(answer("c", 1, 8), None)))


@scenario
async def wait_for_a_task():
    tasks = [asyncio.create_task(answer("a", 1, 5)), asyncio.create_task(answer("b", 9, 5))]
    for task in tasks:
        trace(await ending(asyncio.wait_for(task, 2)))


@scenario
async def wait_for_without_time():
    done = asyncio.create_task(answer("done", 0, 4))
    running = asyncio.create_task(sleep_for_ever("running"))
    await asyncio.sleep(1)
    trace(await ending(asyncio.wait_for(done, 0)))
    trace(await ending(asyncio.wait_for(running, 0)))
    trace(await ending(asyncio.wait_for(answer("never", 1, 1), 0)))


async def refuse(seconds, result):
    try:
        await asyncio.sleep(9)
    except asyncio.CancelledError:
        trace("refuses")
    await asyncio.sleep(seconds)
    trace("has stayed")
    if result < 0:
        raise Trouble(-result)
    return result


@scenario
async def wait_for_waits_until_the_task_is_really_over():
    for result in (3, -2):
        task = asyncio.create_task(refuse(4, result))
        trace(await ending(asyncio.wait_for(task, 1)))


async def wait_in_vain(name):
    try:
        await asyncio.wait_for(asyncio.create_task(sleep_for_ever("inner")), 9)
    except asyncio.CancelledError as error:
        trace(f"{name} {word(error)}")
        raise


@scenario
async def a_cancelled_wait_for_cancels_the_task():
    task = asyncio.create_task(wait_in_vain("waiter"))
    await asyncio.sleep(1)
    task.cancel()
    trace(await ending(task))
