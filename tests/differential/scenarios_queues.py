"""Queues: who gets which item, who waits, and when all is done."""
import asyncio

from scene import ending, scenario, tick, trace, word


async def put_in(name, queue, *items):
    for item in items:
        await queue.put(item)
        trace(f"{name} put {item}")


async def get_some(name, queue, count):
    try:
        for _ in range(count):
            trace(f"{name} got {await queue.get()}")
    except asyncio.CancelledError as error:
        trace(f"{name} {word(error)}")
        raise


async def get_slowly(name, queue, count):
    for _ in range(count):
        await asyncio.sleep(1)
        trace(f"{name} got {await queue.get()}")


@scenario
async def items_come_in_the_order_they_were_put():
    queue = asyncio.Queue()
    producer = asyncio.create_task(put_in("producer", queue, 1, 2, 3, 4))
    await get_some("main", queue, 4)
    await producer
    trace(f"size {queue.qsize()}, empty {int(queue.empty())}, full {int(queue.full())}")


@scenario
async def consumers_are_served_first_come_first_served():
    queue = asyncio.Queue()
    tasks = [asyncio.create_task(get_some(name, queue, 1)) for name in ("a", "b", "c")]
    await asyncio.sleep(1)
    await put_in("main", queue, 1, 2, 3)
    for task in tasks:
        await task


@scenario
async def producers_wait_while_the_queue_is_full():
    queue = asyncio.Queue(2)
    tasks = [asyncio.create_task(put_in("a", queue, 1, 2, 3, 4)),
             asyncio.create_task(put_in("b", queue, 11, 12))]
    await asyncio.sleep(1)
    trace(f"size {queue.qsize()}, full {int(queue.full())}")
    await get_slowly("main", queue, 6)
    for task in tasks:
        await task


@scenario
async def a_producer_and_a_consumer_at_full_speed():
    queue = asyncio.Queue(2)
    tasks = [asyncio.create_task(put_in("producer", queue, *range(8))),
             asyncio.create_task(get_some("consumer", queue, 8)),
             asyncio.create_task(tick("other"))]
    for task in tasks:
        await task


@scenario
async def several_producers_and_consumers():
    queue = asyncio.Queue(3)
    tasks = [asyncio.create_task(put_in(name, queue, *range(base, base + 4)))
             for name, base in (("p", 0), ("q", 10), ("r", 20))]
    tasks.append(asyncio.create_task(get_slowly("x", queue, 5)))
    await asyncio.sleep(5)
    tasks.append(asyncio.create_task(get_slowly("y", queue, 7)))
    for task in tasks:
        await task
    trace(f"size {queue.qsize()}")


@scenario
async def a_cancelled_consumer_takes_nothing():
    queue = asyncio.Queue()
    tasks = [asyncio.create_task(get_some(name, queue, 1)) for name in ("a", "b", "c")]
    await asyncio.sleep(1)
    tasks[0].cancel()
    await asyncio.sleep(1)
    await put_in("main", queue, 1, 2)
    for task in tasks:
        trace(await ending(task))
    trace(f"size {queue.qsize()}")


@scenario
async def a_cancelled_producer_puts_nothing():
    queue = asyncio.Queue(1)
    await queue.put(0)
    tasks = [asyncio.create_task(put_in(name, queue, item)) for name, item in (("a", 1), ("b", 2))]
    await asyncio.sleep(1)
    tasks[0].cancel()
    trace(await ending(tasks[0]))
    await get_slowly("main", queue, 2)
    trace(await ending(tasks[1]))
    trace(f"size {queue.qsize()}")


@scenario
async def without_waiting_it_is_full_or_empty():
    queue = asyncio.Queue(2)
    for item in (1, 2, 3):
        try:
            queue.put_nowait(item)
            trace(f"put {item}")
        except asyncio.QueueFull:
            trace("full")
    for _ in range(3):
        try:
            trace(f"got {queue.get_nowait()}")
        except asyncio.QueueEmpty:
            trace("empty")


async def work_off(name, queue):
    while True:
        item = await queue.get()
        trace(f"{name} begins {item}")
        await asyncio.sleep(item)
        trace(f"{name} ends {item}")
        queue.task_done()


@scenario
async def join_waits_until_all_is_done():
    queue = asyncio.Queue()
    await queue.join()
    trace("nothing to wait for")
    await put_in("main", queue, 3, 1, 5, 1)
    workers = [asyncio.create_task(work_off(name, queue)) for name in ("a", "b")]
    await queue.join()
    trace("all done")
    try:
        queue.task_done()
    except ValueError:
        trace("done too often")
    for worker in workers:
        worker.cancel()
        trace(await ending(worker))


@scenario
async def the_last_in_is_the_first_out():
    queue = asyncio.LifoQueue()
    await put_in("main", queue, 1, 2, 3)
    await get_some("main", queue, 2)
    await put_in("main", queue, 4)
    await get_some("main", queue, 2)


@scenario
async def the_least_comes_first():
    queue = asyncio.PriorityQueue()
    await put_in("main", queue, 5, 1, 4)
    await get_some("main", queue, 1)
    await put_in("main", queue, 3, 9, 2)
    await get_some("main", queue, 5)


@scenario
async def a_bounded_priority_queue_lets_producers_wait():
    queue = asyncio.PriorityQueue(2)
    producer = asyncio.create_task(put_in("producer", queue, 7, 3, 5, 1))
    await asyncio.sleep(1)
    await get_slowly("main", queue, 4)
    await producer


async def get_with_limit(name, queue, limit):
    try:
        async with asyncio.timeout(limit):
            trace(f"{name} got {await queue.get()}")
    except TimeoutError as error:
        trace(f"{name} {word(error)}")


@scenario
async def a_get_may_run_out_of_time():
    queue = asyncio.Queue()
    tasks = [asyncio.create_task(get_with_limit(name, queue, limit))
             for name, limit in (("a", 1), ("b", 3), ("c", 9))]
    await asyncio.sleep(2)
    await put_in("main", queue, 1)
    await asyncio.sleep(2)
    await put_in("main", queue, 2)
    for task in tasks:
        await task


async def stage(name, source, target):
    while (item := await source.get()) >= 0:
        await asyncio.sleep(0)
        trace(f"{name} passes {item}")
        await target.put(item + 100)
    trace(f"{name} ends")
    await target.put(item)


@scenario
async def a_pipeline_of_three_stages():
    queues = [asyncio.Queue(1) for _ in range(4)]
    tasks = [asyncio.create_task(stage(f"stage {i}", queues[i], queues[i + 1])) for i in range(3)]
    tasks.append(asyncio.create_task(put_in("source", queues[0], 1, 2, 3, -1)))
    while (item := await queues[3].get()) >= 0:
        trace(f"out comes {item}")
    for task in tasks:
        await task
