"""wait under its three conditions, and as_completed."""
import asyncio

from scene import Trouble, ending, scenario, trace, word


async def work(name, seconds, result):
    trace(f"{name} begins")
    try:
        await asyncio.sleep(seconds)
    except asyncio.CancelledError as error:
        trace(f"{name} {word(error)}")
        raise
    trace(f"{name} ends")
    if result < 0:
        raise Trouble(-result)
    return result


def spawn(*works):
    return [asyncio.create_task(work(*each)) for each in works]


async def state(task):
    return await ending(task) if task.done() else "pending"


async def wait_and_tell(tasks, **options):
    done, _ = await asyncio.wait(tasks, **options)
    trace(f"{len(done)} are over")
    for task in tasks:
        trace(await state(task))


@scenario
async def wait_for_all_of_them():
    await wait_and_tell(spawn(("a", 3, 10), ("b", 1, -1), ("c", 2, 30)))


@scenario
async def wait_for_the_first():
    tasks = spawn(("a", 3, 10), ("b", 1, 20), ("c", 2, 30))
    await wait_and_tell(tasks, return_when=asyncio.FIRST_COMPLETED)
    await wait_and_tell(tasks, return_when=asyncio.FIRST_COMPLETED)
    await wait_and_tell(tasks)


@scenario
async def wait_for_the_first_error():
    tasks = spawn(("a", 1, 10), ("b", 3600, 20), ("c", 3, -1), ("d", 4, 40))
    asyncio.get_running_loop().call_later(2, tasks[1].cancel)
    await wait_and_tell(tasks, return_when=asyncio.FIRST_EXCEPTION)
    await asyncio.sleep(3)


@scenario
async def without_an_error_the_first_error_is_all():
    tasks = spawn(("a", 1, 10), ("b", 3600, 20), ("c", 3, 30))
    asyncio.get_running_loop().call_later(2, tasks[1].cancel)
    await wait_and_tell(tasks, return_when=asyncio.FIRST_EXCEPTION)


@scenario
async def wait_no_longer_than_its_limit():
    tasks = spawn(("a", 1, 10), ("b", 4, 20), ("c", 6, 30))
    await wait_and_tell(tasks, timeout=2)
    await wait_and_tell(tasks, timeout=3)
    trace("nobody was cancelled")
    await asyncio.sleep(5)


async def wait_as(name, tasks):
    try:
        await asyncio.wait(tasks)
    except asyncio.CancelledError as error:
        trace(f"{name} {word(error)}")
        raise


@scenario
async def a_cancelled_wait_cancels_nobody():
    tasks = spawn(("a", 2, 10), ("b", 3, 20))
    waiter = asyncio.create_task(wait_as("waiter", tasks))
    await asyncio.sleep(1)
    waiter.cancel()
    trace(await ending(waiter))
    await wait_and_tell(tasks)


async def after(name, future, result):
    trace(f"{name} {await ending(future)}")
    return result


@scenario
async def the_first_come_together():
    future = asyncio.get_running_loop().create_future()
    tasks = [asyncio.create_task(after("a", future, 1)), asyncio.create_task(after("b", future, 2))]
    tasks += spawn(("c", 9, 3))
    asyncio.get_running_loop().call_later(1, future.set_result, 7)
    await wait_and_tell(tasks, return_when=asyncio.FIRST_COMPLETED)
    await asyncio.sleep(10)


@scenario
async def as_completed_gives_them_as_they_end():
    tasks = spawn(("a", 3, 10), ("b", 1, 20), ("c", 4, -1), ("d", 2, 40))
    for each in asyncio.as_completed(tasks):
        trace(f"got {await ending(each)}")
    trace("no more")


@scenario
async def as_completed_gives_those_that_are_over_at_once():
    tasks = spawn(("a", 2, 10), ("b", 1, 20), ("c", 5, 30))
    await asyncio.sleep(3)
    for each in asyncio.as_completed(tasks):
        trace(f"got {'one' if await ending(each) != '30' else '30'}")


@scenario
async def as_completed_runs_out_of_time():
    tasks = spawn(("a", 1, 10), ("b", 2, 20), ("c", 5, 30), ("d", 6, 40))
    for each in asyncio.as_completed(tasks, timeout=3):
        trace(f"got {await ending(each)}")
    trace("nobody was cancelled")
    await asyncio.sleep(5)


async def take(name, iterator):
    for each in iterator:
        trace(f"{name} got {await ending(each)}")


@scenario
async def two_tasks_share_what_is_completed():
    iterator = asyncio.as_completed(spawn(("a", 1, 10), ("b", 2, 20), ("c", 3, 30), ("d", 4, 40)))
    takers = [asyncio.create_task(take(name, iterator)) for name in ("left", "right")]
    for task in takers:
        await task
