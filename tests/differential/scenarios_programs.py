"""Small programs that use several things at once."""
import asyncio

from scene import Trouble, ending, scenario, trace, word


async def download(name, seconds, slots):
    async with slots:
        trace(f"{name} begins")
        try:
            async with asyncio.timeout(4):
                await asyncio.sleep(seconds)
                trace(f"{name} arrived")
                return seconds
        except TimeoutError:
            trace(f"{name} takes too long")
            return 0


@scenario
async def downloads_with_slots_and_time_limits():
    slots = asyncio.Semaphore(2)
    tasks = [asyncio.create_task(download(name, seconds, slots))
             for name, seconds in (("a", 2), ("b", 9), ("c", 1), ("d", 8), ("e", 2))]
    trace(f"in all {sum(await asyncio.gather(*tasks))}")


async def attempt(number):
    trace(f"attempt {number}")
    if number == 1:
        await asyncio.sleep(9)
    if number == 2:
        await asyncio.sleep(1)
        raise Trouble(2)
    await asyncio.sleep(2)
    return 50 + number


@scenario
async def attempts_with_longer_and_longer_pauses():
    pause = 1
    for number in range(1, 5):
        result = await ending(asyncio.wait_for(attempt(number), 3))
        trace(f"attempt {number}: {result}")
        if result.isdecimal():
            break
        await asyncio.sleep(pause)
        pause *= 2


async def crawl(name, queue, seen):
    while True:
        page = await queue.get()
        trace(f"{name} reads page {page}")
        await asyncio.sleep(page % 3 + 1)
        for link in (2 * page + 1, 2 * page + 2):
            if link < 7 and link not in seen:
                seen.add(link)
                queue.put_nowait(link)
                trace(f"{name} finds page {link}")
        queue.task_done()


@scenario
async def a_crawler_that_finds_its_own_work():
    queue = asyncio.Queue()
    queue.put_nowait(0)
    workers = [asyncio.create_task(crawl(name, queue, {0})) for name in ("worker",)]
    await queue.join()
    trace("all pages read")
    for worker in workers:
        worker.cancel()
    trace(word((await asyncio.gather(*workers, return_exceptions=True))[0]))


async def philosopher(name, left, right, seconds):
    for _ in range(2):
        await asyncio.sleep(seconds)
        async with left:
            trace(f"{name} has one fork")
            async with right:
                trace(f"{name} eats")
                await asyncio.sleep(1)
        trace(f"{name} thinks")


@scenario
async def philosophers_who_agree_on_an_order():
    forks = [asyncio.Lock() for _ in range(3)]
    async with asyncio.TaskGroup() as group:
        group.create_task(philosopher("a", forks[0], forks[1], 10))
        group.create_task(philosopher("b", forks[1], forks[2], 13))
        group.create_task(philosopher("c", forks[0], forks[2], 17))
    trace("all have eaten")


async def serve(number):
    trace(f"service {number} begins")
    await asyncio.sleep(number)
    raise Trouble(number)


@scenario
async def a_supervisor_that_restarts_what_failed():
    deaths = 0
    running = {number: asyncio.create_task(serve(number)) for number in (3, 5)}
    while deaths < 5:
        await asyncio.wait(running.values(), return_when=asyncio.FIRST_COMPLETED)
        for number, task in running.items():
            if task.done():
                deaths += 1
                trace(f"service {number}: {await ending(task)}")
                running[number] = asyncio.create_task(serve(number))
    for task in running.values():
        task.cancel()
        trace(await ending(task))


async def read_lines(lines):
    for line in lines:
        await asyncio.sleep(1)
        yield line


async def send_lines(lines, queue):
    async for line in read_lines(lines):
        await queue.put(line)
        trace(f"sent {line}")
    await queue.put(0)


@scenario
async def a_reader_a_queue_and_a_deadline():
    queue = asyncio.Queue(1)
    sender = asyncio.create_task(send_lines((11, 12, 13, 14, 15), queue))
    try:
        async with asyncio.timeout(6.5):
            while line := await queue.get():
                trace(f"handling {line}")
                await asyncio.sleep(2)
            trace("not reached")
    except TimeoutError as error:
        trace(word(error))
    sender.cancel()
    trace(await ending(sender))


async def subscriber(name, condition, news, wanted):
    seen = 0
    while seen < wanted:
        async with condition:
            await condition.wait_for(lambda: len(news) > seen)
            fresh = len(news) - seen
            seen = len(news)
        trace(f"{name} reads {fresh}")
        await asyncio.sleep(2.2)
    trace(f"{name} has enough")


@scenario
async def subscribers_who_read_at_their_own_pace():
    condition, news = asyncio.Condition(), []
    tasks = [asyncio.create_task(subscriber(name, condition, news, wanted))
             for name, wanted in (("a", 2), ("b", 4))]
    for number in range(1, 6):
        await asyncio.sleep(1.5)
        async with condition:
            news.append(number)
            trace(f"news {number}")
            condition.notify_all()
    for task in tasks:
        await task


async def race(name, seconds, finish):
    await asyncio.sleep(seconds)
    trace(f"{name} arrives")
    if not finish.done():
        finish.set_result(seconds)


@scenario
async def the_first_of_a_race_ends_it():
    finish = asyncio.get_running_loop().create_future()
    runners = [asyncio.create_task(race(name, seconds, finish))
               for name, seconds in (("a", 5), ("b", 2), ("c", 4))]
    trace(f"the winner took {await finish}")
    for runner in runners:
        trace(f"cancel {int(runner.cancel())}")
    for runner in runners:
        trace(await ending(runner))
