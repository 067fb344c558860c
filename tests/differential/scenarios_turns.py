"""In which turn a waiter goes on: each is woken just after a counter of turns was started."""
import asyncio

from scene import scenario, tick, trace


async def wait_by(name, awaitable):
    await awaitable
    trace(f"{name} goes on")


async def race_the_counter(wakes, *awaitables):
    waiters = [asyncio.create_task(wait_by(f"waiter {i}", each))
               for i, each in enumerate(awaitables)]
    await asyncio.sleep(1)
    early = asyncio.create_task(tick("early"))
    wakes()
    late = asyncio.create_task(tick("late"))
    trace("woken")
    for task in (*waiters, early, late):
        await task


@scenario
async def a_future_wakes_in_the_next_turn():
    future = asyncio.get_running_loop().create_future()

    async def wait():
        await future

    await race_the_counter(lambda: future.set_result(None), wait(), wait())


@scenario
async def an_event_wakes_in_the_next_turn():
    event = asyncio.Event()
    await race_the_counter(event.set, event.wait(), event.wait())


@scenario
async def a_lock_is_handed_over_in_the_next_turn():
    lock = asyncio.Lock()
    await lock.acquire()
    await race_the_counter(lock.release, lock.acquire())


@scenario
async def permits_are_handed_over_in_the_next_turn():
    semaphore = asyncio.Semaphore(0)

    def release_two():
        semaphore.release()
        semaphore.release()

    await race_the_counter(release_two, semaphore.acquire(), semaphore.acquire())


@scenario
async def an_item_arrives_in_the_next_turn():
    queue = asyncio.Queue()

    def put_two():
        queue.put_nowait(1)
        queue.put_nowait(2)

    await race_the_counter(put_two, queue.get(), queue.get())


@scenario
async def a_place_falls_free_in_the_next_turn():
    queue = asyncio.Queue(1)
    queue.put_nowait(0)
    await race_the_counter(queue.get_nowait, queue.put(1))


@scenario
async def all_is_done_in_the_next_turn():
    queue = asyncio.Queue()
    queue.put_nowait(0)
    queue.get_nowait()
    await race_the_counter(queue.task_done, queue.join(), queue.join())


@scenario
async def a_barrier_opens_in_the_next_turn():
    barrier = asyncio.Barrier(3)

    async def come():
        await barrier.wait()

    waiters = [asyncio.create_task(wait_by(f"waiter {i}", come())) for i in range(2)]
    await asyncio.sleep(1)
    early = asyncio.create_task(tick("early"))
    trace(f"place {await barrier.wait()}")
    late = asyncio.create_task(tick("late"))
    for task in (*waiters, early, late):
        await task


@scenario
async def the_notified_go_on_in_the_next_turn():
    condition = asyncio.Condition()

    async def wait():
        async with condition:
            await condition.wait()

    waiters = [asyncio.create_task(wait_by(f"waiter {i}", wait())) for i in range(2)]
    await asyncio.sleep(1)
    async with condition:
        early = asyncio.create_task(tick("early"))
        condition.notify_all()
    late = asyncio.create_task(tick("late"))
    for task in (*waiters, early, late):
        await task


@scenario
async def a_cancel_arrives_in_the_next_turn():
    async def wait():
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            pass

    task = asyncio.create_task(wait_by("waiter", wait()))
    await asyncio.sleep(1)
    early = asyncio.create_task(tick("early"))
    task.cancel()
    late = asyncio.create_task(tick("late"))
    for each in (task, early, late):
        await each


async def end_beside_counters(counters):
    counters.append(asyncio.create_task(tick("early")))
    trace("the task ends")


@scenario
async def an_awaiter_goes_on_in_the_next_turn():
    counters = []
    await wait_by("awaiter", asyncio.create_task(end_beside_counters(counters)))
    for task in counters:
        await task
