"""Context variables: which value a task sees."""
import asyncio
import contextvars

from scene import scenario, trace

user = contextvars.ContextVar("user")


def see(name):
    trace(f"{name} sees {user.get('nobody')}")


async def look(name):
    see(name)


async def change(name, value, seconds):
    see(name)
    user.set(value)
    await asyncio.sleep(seconds)
    see(name)
    await asyncio.create_task(look(f"{name}'s child"))


@scenario
async def a_task_has_a_copy_of_its_creators_context():
    await look("before")
    user.set("ann")
    tasks = [asyncio.create_task(change("a", "bob", 1)), asyncio.create_task(change("b", "cay", 2))]
    user.set("dan")
    for task in tasks:
        await task
    see("main")


async def change_here(value):
    user.set(value)


@scenario
async def a_call_shares_the_callers_context():
    user.set("ann")
    await change_here("bob")
    see("main")
    await asyncio.create_task(change_here("cay"))
    see("main")


@scenario
async def a_set_may_be_taken_back():
    first = user.set("ann")
    second = user.set("bob")
    see("main")
    user.reset(second)
    see("main")
    user.reset(first)
    see("main")


@scenario
async def a_context_is_given_to_a_task():
    user.set("ann")
    context = contextvars.copy_context()
    user.set("bob")
    await asyncio.create_task(change("task", "cay", 1), context=context)
    see("main")
    trace(f"the context has {context[user]}")
    context.run(see, "inside")
    context.run(user.set, "dan")
    await asyncio.create_task(look("late task"), context=context)


@scenario
async def a_callback_sees_the_context_it_was_added_in():
    future = asyncio.get_running_loop().create_future()
    user.set("ann")
    future.add_done_callback(lambda _: see("first callback"))
    user.set("bob")
    future.add_done_callback(lambda _: see("second callback"))
    user.set("cay")
    future.set_result(None)
    await asyncio.sleep(0)
    see("main")
