"""gather and task groups: whose end ends what.

A TaskGroup keeps its children in a set, so the order in which it cancels them is undefined: no
scenario has a group cancel two children that trace it."""
import asyncio

from scene import Trouble, ending, scenario, sleep_for_ever, trace, word


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


@scenario
async def gather_keeps_the_order_of_its_arguments():
    tasks = spawn(("a", 3, 10), ("b", 1, 20), ("c", 2, 30))
    for result in await asyncio.gather(*tasks):
        trace(result)
    trace(f"of none: {len(await asyncio.gather())}")


@scenario
async def gather_of_the_same_task_twice():
    a, b = spawn(("a", 1, 10), ("b", 2, 20))
    for result in await asyncio.gather(a, b, a):
        trace(result)


@scenario
async def gather_collects_errors_beside_results():
    tasks = spawn(("a", 1, 10), ("b", 2, -1), ("c", 4, 30), ("d", 3, -2))
    for result in await asyncio.gather(*tasks, return_exceptions=True):
        trace(word(result))


@scenario
async def the_first_error_ends_gather_and_nobody_else():
    tasks = spawn(("a", 1, 10), ("b", 2, -1), ("c", 3, 30), ("d", 4, -2))
    trace(await ending(asyncio.gather(*tasks)))
    await asyncio.sleep(5)
    trace("main ends")


async def gather_three(name, collect):
    tasks = spawn((name + "1", 1, 10), (name + "2", 5, 20), (name + "3", 6, 30))
    try:
        await asyncio.gather(*tasks, return_exceptions=collect)
    except asyncio.CancelledError as error:
        trace(f"{name} {word(error)}")
        raise
    trace(f"{name} got all")


@scenario
async def a_cancelled_gather_cancels_its_tasks():
    tasks = [asyncio.create_task(gather_three("p", False)),
             asyncio.create_task(gather_three("q", True))]
    await asyncio.sleep(2)
    tasks[0].cancel()
    await asyncio.sleep(1)
    tasks[1].cancel()
    for task in tasks:
        trace(await ending(task))


@scenario
async def gather_collects_the_cancel_of_one_task():
    tasks = spawn(("a", 2, 10), ("b", 3600, 20), ("c", 3, 30))
    gathering = asyncio.gather(*tasks, return_exceptions=True)
    await asyncio.sleep(1)
    tasks[1].cancel()
    for result in await gathering:
        trace(word(result))


@scenario
async def one_cancelled_task_ends_gather():
    tasks = spawn(("a", 2, 10), ("b", 3600, 20), ("c", 3, 30))
    asyncio.get_running_loop().call_later(1, tasks[1].cancel)
    trace(await ending(asyncio.gather(*tasks)))
    await asyncio.sleep(4)


async def group_of(name, *works):
    try:
        async with asyncio.TaskGroup() as group:
            for each in works:
                group.create_task(work(*each))
            trace(f"{name} has spawned")
    except BaseException as error:
        trace(f"{name} {word(error)}")
        raise
    trace(f"{name} is over")


@scenario
async def a_group_waits_for_all():
    await group_of("group", ("a", 2, 0), ("b", 1, 0), ("c", 3, 0))


@scenario
async def a_childs_error_cancels_its_siblings():
    await ending(group_of("group", ("a", 1, 0), ("b", 2, -1), ("c", 3, 0)))


@scenario
async def a_cancelled_parent_cancels_and_awaits_the_children():
    parent = asyncio.create_task(group_of("group", ("a", 1, 0), ("b", 5, 0)))
    await asyncio.sleep(2)
    parent.cancel()
    trace(await ending(parent))


async def outer_group(sibling_seconds, *works):
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(group_of("inner", *works))
            group.create_task(work("sibling", sibling_seconds, 0))
    except BaseException as error:
        trace(f"outer {word(error)}")
    trace("outer goes on")


@scenario
async def an_error_climbs_through_nested_groups():
    await outer_group(9, ("x", 1, 0), ("y", 3, -5), ("z", 4, 0))


@scenario
async def a_cancel_descends_through_nested_groups():
    parent = asyncio.create_task(outer_group(1, ("x", 1, 0), ("y", 9, 0)))
    await asyncio.sleep(2)
    parent.cancel()
    trace(await ending(parent))


@scenario
async def a_child_cancelled_alone_disturbs_nobody():
    async with asyncio.TaskGroup() as group:
        first = group.create_task(sleep_for_ever("first"))
        group.create_task(work("second", 2, 0))
        await asyncio.sleep(1)
        first.cancel()
    trace("group is over")


async def generation(group, depth):
    trace(f"generation {depth} begins")
    await asyncio.sleep(1)
    if depth < 3:
        group.create_task(generation(group, depth + 1))
    trace(f"generation {depth} ends")


@scenario
async def children_may_spawn_while_the_group_is_joined():
    async with asyncio.TaskGroup() as group:
        group.create_task(generation(group, 1))
        trace("join")
    trace("group is over")


async def stubborn(name, seconds):
    try:
        await asyncio.sleep(seconds)
    except asyncio.CancelledError:
        trace(f"{name} was cancelled and stays")
        await asyncio.sleep(5)
    trace(f"{name} ends")


@scenario
async def a_failed_group_waits_for_the_stubborn_too():
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(stubborn("a", 9))
            group.create_task(work("b", 1, -3))
    except* Trouble as error:
        trace(word(error))
