"""Locks, events, conditions, semaphores, barriers: whose turn it is."""
import asyncio

from scene import ending, scenario, tick, trace, word


async def hold(name, lock, seconds, times=1):
    for _ in range(times):
        trace(f"{name} wants it")
        try:
            async with lock:
                trace(f"{name} has it")
                await asyncio.sleep(seconds)
            trace(f"{name} gave it back")
        except asyncio.CancelledError as error:
            trace(f"{name} {word(error)}")
            raise


@scenario
async def a_lock_is_first_come_first_served():
    lock = asyncio.Lock()
    tasks = [asyncio.create_task(hold(name, lock, 1)) for name in ("a", "b", "c", "d")]
    for task in tasks:
        await task
    trace(f"locked {int(lock.locked())}")


@scenario
async def nobody_overtakes_at_a_lock():
    lock = asyncio.Lock()
    tasks = [asyncio.create_task(hold(name, lock, 0, 2)) for name in ("a", "b", "c")]
    for task in tasks:
        await task


@scenario
async def a_free_lock_takes_no_turn():
    lock = asyncio.Lock()
    other = asyncio.create_task(tick("other"))
    for i in range(3):
        async with lock:
            trace(f"locked {int(lock.locked())}")
        trace(f"locked {int(lock.locked())}")
    await other


@scenario
async def a_cancelled_waiter_leaves_the_queue_of_a_lock():
    lock = asyncio.Lock()
    tasks = [asyncio.create_task(hold(name, lock, 2)) for name in ("a", "b", "c", "d")]
    await asyncio.sleep(1)
    tasks[1].cancel()
    tasks[3].cancel()
    for task in tasks:
        trace(await ending(task))


@scenario
async def a_lock_goes_on_when_its_holder_is_cancelled():
    lock = asyncio.Lock()
    tasks = [asyncio.create_task(hold(name, lock, 9)) for name in ("a", "b", "c")]
    for task in tasks:
        await asyncio.sleep(1)
        task.cancel()
        trace(await ending(task))
    trace(f"locked {int(lock.locked())}")


@scenario
async def a_lock_has_no_owner():
    lock = asyncio.Lock()
    try:
        lock.release()
    except RuntimeError:
        trace("it is not held")
    await lock.acquire()

    async def release_it(_):
        lock.release()
        trace("released by another task")

    waiting = asyncio.create_task(hold("a", lock, 1))
    other = asyncio.create_task(release_it(lock))
    await waiting
    await other


async def wait_for_event(name, event):
    trace(f"{name} waits")
    trace(f"{name} {await ending(event.wait())}")


@scenario
async def an_event_wakes_those_who_wait():
    event = asyncio.Event()
    tasks = [asyncio.create_task(wait_for_event(name, event)) for name in ("a", "b", "c")]
    await asyncio.sleep(1)
    event.set()
    trace(f"set {int(event.is_set())}")
    other = asyncio.create_task(tick("other"))
    await event.wait()
    trace("main does not wait")
    for task in tasks:
        await task
    await other


@scenario
async def set_and_cleared_at_once_an_event_wakes_all_the_same():
    event = asyncio.Event()
    tasks = [asyncio.create_task(wait_for_event(name, event)) for name in ("a", "b")]
    await asyncio.sleep(0)
    event.set()
    event.clear()
    tasks.append(asyncio.create_task(wait_for_event("late", event)))
    await asyncio.sleep(1)
    trace(f"set {int(event.is_set())}")
    tasks[2].cancel()
    for task in tasks:
        await task


async def wait_in_condition(name, condition):
    async with condition:
        trace(f"{name} waits")
        try:
            await condition.wait()
            trace(f"{name} was notified, locked {int(condition.locked())}")
        except asyncio.CancelledError as error:
            trace(f"{name} {word(error)}, locked {int(condition.locked())}")
            raise
        await asyncio.sleep(1)
        trace(f"{name} leaves")


def spawn_waiters(condition, *names):
    return [asyncio.create_task(wait_in_condition(name, condition)) for name in names]


@scenario
async def a_condition_wakes_as_many_as_it_is_told():
    condition = asyncio.Condition()
    tasks = spawn_waiters(condition, "a", "b", "c", "d")
    await asyncio.sleep(1)
    for n in (1, 2, 5):
        async with condition:
            trace(f"notify {n}")
            condition.notify(n)
        await asyncio.sleep(5)
    for task in tasks:
        await task


@scenario
async def the_notified_wait_until_the_lock_is_free():
    condition = asyncio.Condition()
    tasks = spawn_waiters(condition, "a", "b")
    await asyncio.sleep(1)
    async with condition:
        condition.notify_all()
        trace("notified all")
        await asyncio.sleep(2)
        trace("main leaves")
    for task in tasks:
        await task


@scenario
async def a_cancelled_wait_has_the_lock_again():
    condition = asyncio.Condition()
    tasks = spawn_waiters(condition, "a")
    await asyncio.sleep(1)
    async with condition:
        tasks[0].cancel()
        await asyncio.sleep(1)
        trace("main leaves")
    trace(await ending(tasks[0]))
    tasks = spawn_waiters(condition, "b")
    await asyncio.sleep(1)
    async with condition:
        condition.notify()
    trace(await ending(tasks[0]))


@scenario
async def a_condition_waits_for_a_predicate():
    condition = asyncio.Condition()
    level = 0

    async def wait_for_level(name, wanted):
        async with condition:
            await condition.wait_for(lambda: level >= wanted)
            trace(f"{name} sees {level}")

    tasks = [asyncio.create_task(wait_for_level(name, wanted))
             for name, wanted in (("a", 3), ("b", 1), ("c", 2))]
    for _ in range(3):
        await asyncio.sleep(1)
        async with condition:
            level += 1
            trace(f"level {level}")
            condition.notify_all()
    for task in tasks:
        await task


@scenario
async def a_condition_needs_its_lock():
    condition = asyncio.Condition()
    try:
        condition.notify()
    except RuntimeError:
        trace("notify without the lock")
    try:
        await condition.wait()
    except RuntimeError:
        trace("wait without the lock")


@scenario
async def a_semaphore_lets_so_many_in():
    semaphore = asyncio.Semaphore(2)
    tasks = [asyncio.create_task(hold(name, semaphore, seconds))
             for name, seconds in (("a", 3), ("b", 1), ("c", 4), ("d", 1), ("e", 2))]
    for task in tasks:
        await task
    trace(f"locked {int(semaphore.locked())}")


async def acquire(name, semaphore):
    trace(f"{name} wants a permit")
    try:
        await semaphore.acquire()
        trace(f"{name} has one")
    except asyncio.CancelledError as error:
        trace(f"{name} {word(error)}")
        raise


@scenario
async def a_semaphore_is_locked_while_somebody_waits():
    semaphore = asyncio.Semaphore(1)
    trace(f"locked {int(semaphore.locked())}")
    await semaphore.acquire()
    trace(f"locked {int(semaphore.locked())}")
    tasks = [asyncio.create_task(acquire(name, semaphore)) for name in ("a", "b", "c")]
    await asyncio.sleep(1)
    semaphore.release()
    trace(f"locked {int(semaphore.locked())}")
    await acquire("main", semaphore) if not semaphore.locked() else None
    await asyncio.sleep(1)
    tasks[1].cancel()
    await asyncio.sleep(1)
    semaphore.release()
    await asyncio.sleep(1)
    semaphore.release()
    trace(f"locked {int(semaphore.locked())}")
    for task in tasks:
        trace(await ending(task))


@scenario
async def a_bounded_semaphore_takes_no_more_back():
    semaphore = asyncio.BoundedSemaphore(2)
    await semaphore.acquire()
    semaphore.release()
    try:
        semaphore.release()
    except ValueError:
        trace("released too often")
    tasks = [asyncio.create_task(hold(name, semaphore, seconds))
             for name, seconds in (("a", 1), ("b", 3), ("c", 1))]
    for task in tasks:
        await task


async def meet(name, barrier, seconds, rounds):
    for _ in range(rounds):
        await asyncio.sleep(seconds)
        trace(f"{name} arrives")
        try:
            trace(f"{name} has place {await barrier.wait()}")
        except asyncio.BrokenBarrierError:
            trace(f"{name} finds it broken")
            return


@scenario
async def a_barrier_gives_places_and_serves_again():
    barrier = asyncio.Barrier(3)
    tasks = [asyncio.create_task(meet(name, barrier, seconds, 3))
             for name, seconds in (("a", 3), ("b", 1), ("c", 2))]
    for task in tasks:
        await task
    trace(f"waiting {barrier.n_waiting}")


@scenario
async def a_cancelled_party_is_not_counted():
    barrier = asyncio.Barrier(2)
    tasks = [asyncio.create_task(meet(name, barrier, seconds, 1))
             for name, seconds in (("a", 1), ("b", 3), ("c", 4))]
    await asyncio.sleep(2)
    trace(f"waiting {barrier.n_waiting}")
    tasks[0].cancel()
    for task in tasks:
        trace(await ending(task))


@scenario
async def a_broken_barrier_turns_all_away_until_it_is_reset():
    barrier = asyncio.Barrier(3)
    tasks = [asyncio.create_task(meet(name, barrier, seconds, 1))
             for name, seconds in (("a", 1), ("b", 1), ("c", 3))]
    await asyncio.sleep(2)
    await barrier.abort()
    await asyncio.sleep(2)
    trace(f"broken {int(barrier.broken)}")
    await barrier.reset()
    trace(f"broken {int(barrier.broken)}")
    tasks += [asyncio.create_task(meet(name, barrier, 1, 1)) for name in ("d", "e", "f")]
    for task in tasks:
        await task
