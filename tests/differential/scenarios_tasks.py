"""Tasks: when they begin, whose turn it is, what an await gives."""
import asyncio

from scene import Trouble, ending, say_once, scenario, tick, trace


@scenario
async def tasks_begin_in_the_order_of_creation():
    tasks = [asyncio.create_task(say_once(name)) for name in ("a", "b", "c", "d")]
    trace("main has spawned")
    for task in reversed(tasks):
        await task
        trace("main has awaited one")


async def parent(name):
    trace(f"{name} begins")
    if len(name) < 3:
        left = asyncio.create_task(parent(name + "l"))
        right = asyncio.create_task(parent(name + "r"))
        trace(f"{name} has spawned")
        await left
        trace(f"{name} left over")
        await right
    trace(f"{name} ends")


@scenario
async def tasks_spawned_by_tasks_queue_up_behind():
    await parent("x")


async def sleeper(seconds):
    trace(f"sleeper {seconds} begins")
    await asyncio.sleep(seconds)
    trace(f"sleeper {seconds} wakes")


@scenario
async def sleepers_wake_by_deadline():
    tasks = [asyncio.create_task(sleeper(seconds)) for seconds in (3, 1, 5, 2, 4)]
    for task in tasks:
        await task
    trace("all are awake")


async def sleep_twice(name):
    await asyncio.sleep(2)
    trace(f"{name} wakes")
    await asyncio.sleep(2)
    trace(f"{name} wakes again")


@scenario
async def equal_sleeps_end_in_the_order_they_began():
    tasks = [asyncio.create_task(sleep_twice(name)) for name in ("a", "b", "c", "d", "e")]
    for task in tasks:
        await task


@scenario
async def yields_take_turns():
    tasks = [asyncio.create_task(tick(name)) for name in ("a", "b", "c")]
    await asyncio.sleep(0)
    trace("main comes back")
    tasks.append(asyncio.create_task(tick("late")))
    for task in tasks:
        await task


@scenario
async def sleeping_no_time_is_a_yield():
    task = asyncio.create_task(tick("a"))
    for seconds in (0, -1, 0, -5):
        trace(f"main sleeps {seconds}")
        await asyncio.sleep(seconds)
    await task


@scenario
async def an_ended_task_is_awaited_without_a_turn():
    done = asyncio.create_task(say_once("done"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    other = asyncio.create_task(say_once("other"))
    await done
    trace("main has awaited the ended one")
    await other


async def await_next(name, task):
    trace(f"{name} waits")
    result = await task
    trace(f"{name} got {result}")
    return result + 1


async def answer_later(counter):
    await asyncio.sleep(1)
    trace("the last one ends")
    if counter:
        asyncio.create_task(tick(counter))
    return 10


@scenario
async def a_chain_of_awaits_unwinds_one_turn_each():
    last = asyncio.create_task(answer_later("counter"))
    third = asyncio.create_task(await_next("third", last))
    second = asyncio.create_task(await_next("second", third))
    first = asyncio.create_task(await_next("first", second))
    trace(f"main got {await first}")
    await asyncio.sleep(1)


@scenario
async def those_who_wait_for_one_task_wake_in_order():
    last = asyncio.create_task(answer_later(None))

    async def wait_for_it(name):
        trace(f"{name} waits")
        await asyncio.wait({last})
        trace(f"{name} wakes")

    tasks = [asyncio.create_task(wait_for_it(name)) for name in ("a", "b", "c", "d")]
    for task in tasks:
        await task


async def fail(number):
    trace(f"trouble {number} comes")
    raise Trouble(number)


async def give(number):
    return number


@scenario
async def await_gives_the_result_or_the_error():
    tasks = [asyncio.create_task(give(7)), asyncio.create_task(fail(1)),
             asyncio.create_task(give(0)), asyncio.create_task(fail(2))]
    for task in tasks:
        trace(await ending(task))
    trace(await ending(fail(3)))


@scenario
async def a_task_may_be_polled():
    task = asyncio.create_task(tick("a"))
    while not task.done():
        trace("not done")
        await asyncio.sleep(0)
    trace("done")
    await task


async def relay(name, task_of):
    trace(f"{name} begins")
    if task_of:
        await asyncio.create_task(relay(task_of[0], task_of[1:]))
    trace(f"{name} ends")


@scenario
async def two_chains_of_spawn_and_await_interleave():
    left = asyncio.create_task(relay("a", "bcd"))
    right = asyncio.create_task(relay("p", "qrs"))
    await right
    trace("the right chain is over")
    await left
