"""Async generators: by whom and when their bodies run."""
import asyncio

from scene import Trouble, ending, scenario, tick, trace, word

left_open = []


async def count(name, last):
    trace(f"{name} begins")
    try:
        for number in range(1, last + 1):
            yield number
            trace(f"{name} goes on after {number}")
    except (asyncio.CancelledError, GeneratorExit):
        trace(f"{name} cleans up")
        raise
    trace(f"{name} ends")


@scenario
async def a_generator_runs_when_it_is_asked():
    generator = count("g", 3)
    trace("opened")
    async for number in generator:
        trace(f"got {number}")
    trace("no more")
    trace(f"and still none: {await anext(generator, 0)}")


async def count_slowly(name, last, seconds):
    for number in range(1, last + 1):
        await asyncio.sleep(seconds)
        trace(f"{name} makes {number}")
        yield number


async def consume(name, last, seconds):
    async for number in count_slowly(name, last, seconds):
        trace(f"{name} got {number}")
    trace(f"{name} has all")


@scenario
async def generators_of_several_tasks_interleave():
    tasks = [asyncio.create_task(consume("slow", 3, 5)), asyncio.create_task(consume("quick", 4, 2))]
    for task in tasks:
        await task


@scenario
async def a_generator_takes_no_turn_of_its_own():
    other = asyncio.create_task(tick("other"))
    async for number in count("g", 2):
        trace(f"got {number}")
    await other


@scenario
async def a_generator_that_is_closed_cleans_up():
    generator = count("g", 5)
    async for number in generator:
        trace(f"got {number}")
        if number == 2:
            break
    trace("closing")
    await generator.aclose()
    trace("closed")


@scenario
async def a_generator_that_never_began_has_nothing_to_clean():
    generator = count("g", 5)
    await generator.aclose()
    trace("closed")


async def echo(name):
    sent = None
    for _ in range(5):
        trace(f"{name} got {sent if sent is not None else 'nothing'}")
        sent = yield 10 * (sent or 0)


@scenario
async def values_may_be_sent_in():
    generator = echo("g")
    trace(f"main got {await anext(generator)}")
    trace(f"main got {await generator.asend(4)}")
    trace(f"main got {await generator.asend(7)}")
    trace(f"main got {await anext(generator)}")
    await generator.aclose()


async def survive(name):
    number = 0
    while number < 3:
        try:
            number += 1
            yield number
        except Trouble as error:
            trace(f"{name} survives {word(error)}")
            number += 10


@scenario
async def an_error_may_be_thrown_in():
    generator = survive("g")
    trace(f"main got {await anext(generator)}")
    trace(f"main got {await anext(generator)}")
    trace(f"main got {await anext(generator)}")
    try:
        trace(f"main got {await generator.athrow(Trouble(5))}")
    except StopAsyncIteration:
        trace("it ended")
    unprepared = count("h", 3)
    trace(f"main got {await anext(unprepared)}")
    trace(f"main got {await ending(unprepared.athrow(Trouble(6)))}")
    trace(f"and then {await anext(unprepared, 0)}")


async def fail_after(name, last, number):
    for each in range(1, last + 1):
        yield each
    trace(f"{name} fails")
    raise Trouble(number)


@scenario
async def an_error_of_the_body_reaches_the_consumer():
    generator = fail_after("g", 2, 3)
    for _ in range(3):
        trace(await ending(anext(generator)))
    trace(f"and then {await anext(generator, 0)}")


async def consume_until_cancelled(generator):
    try:
        async for number in generator:
            trace(f"got {number}")
    except asyncio.CancelledError as error:
        trace(f"consumer {word(error)}")
        raise
    finally:
        await generator.aclose()
        trace("closed")


async def count_and_clean(name, seconds):
    number = 0
    try:
        while True:
            await asyncio.sleep(seconds)
            number += 1
            yield number
    except asyncio.CancelledError as error:
        trace(f"{name} {word(error)}")
        raise


@scenario
async def a_cancel_finds_the_consumer_inside_the_body():
    task = asyncio.create_task(consume_until_cancelled(count_and_clean("g", 2)))
    await asyncio.sleep(5)
    task.cancel()
    trace(await ending(task))


async def squares(name, inner):
    async for number in inner:
        yield number * number
    trace(f"{name} has no more")


@scenario
async def generators_may_be_stacked():
    inner = count_slowly("inner", 3, 1)
    async for number in squares("outer", inner):
        trace(f"got {number}")


@scenario
async def a_generator_left_open_is_closed_at_the_end():
    generator = count("g", 5)
    left_open.append(generator)
    trace(f"got {await anext(generator)}")
    trace("main ends")


async def take_one(name, generator):
    trace(f"{name} got {await anext(generator)}")


@scenario
async def tasks_may_ask_one_after_the_other():
    generator = count_slowly("g", 3, 1)
    for name in ("a", "b", "c"):
        await asyncio.create_task(take_one(name, generator))
    await generator.aclose()
