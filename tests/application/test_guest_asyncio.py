"""asyncio in the sandbox is ordinary asyncio: each of these programs would give the same result outside."""

import pytest
from sandbox import Sandbox, message

from pie.core.events import Finished

pytestmark = pytest.mark.wasm

PROGRAMS: dict[str, tuple[str, str]] = {
    "gather keeps the order of its arguments": (
        "async def late(x, t):\n    await asyncio.sleep(t)\n    return x\n"
        "async def main():\n    return await asyncio.gather(late(1, .02), late(2, 0), late(3, .01))",
        "[1, 2, 3]",
    ),
    "tasks run side by side": (
        "async def main():\n"
        "    order = []\n"
        "    async def say(x, t):\n        await asyncio.sleep(t)\n        order.append(x)\n"
        "    tasks = [asyncio.create_task(say(x, t)) for x, t in (('b', .02), ('a', .01))]\n"
        "    for task in tasks: await task\n"
        "    return order",
        '["a", "b"]',
    ),
    "the first of several": (
        "async def main():\n"
        "    tasks = {asyncio.create_task(asyncio.sleep(t, t)) for t in (.01, 60)}\n"
        "    done, rest = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)\n"
        "    for task in rest: task.cancel()\n"
        "    return [task.result() for task in done]",
        "[0.01]",
    ),
    "in the order of completion": (
        "async def main():\n"
        "    times = (.03, .01, .02)\n"
        "    return [await task for task in asyncio.as_completed([asyncio.sleep(t, t) for t in times])]",
        "[0.01, 0.02, 0.03]",
    ),
    "all of them, until a deadline": (
        "async def main():\n"
        "    tasks = [asyncio.create_task(asyncio.sleep(t, t)) for t in (.01, 60)]\n"
        "    done, late = await asyncio.wait(tasks, timeout=.05)\n"
        "    for task in late: task.cancel()\n"
        "    return [len(done), len(late)]",
        "[1, 1]",
    ),
    "wait_for gives up and cancels": (
        "async def main():\n"
        "    try:\n        await asyncio.wait_for(receive(), .01)\n"
        "    except TimeoutError:\n        return 'too late'",
        "too late",
    ),
    "timeout cuts a block short": (
        "async def main():\n"
        "    done = []\n"
        "    try:\n"
        "        async with asyncio.timeout(.03):\n"
        "            done.append(await asyncio.sleep(0, 1))\n"
        "            await asyncio.sleep(60)\n"
        "    except TimeoutError:\n        done.append('cut')\n"
        "    return done",
        '[1, "cut"]',
    ),
    "a TaskGroup waits for all of its tasks": (
        "async def main():\n"
        "    async with asyncio.TaskGroup() as group:\n"
        "        tasks = [group.create_task(asyncio.sleep(.01, i)) for i in range(3)]\n"
        "    return [task.result() for task in tasks]",
        "[0, 1, 2]",
    ),
    "a TaskGroup cancels the rest when one fails": (
        "async def fail():\n    raise ValueError('no')\n"
        "async def main():\n"
        "    ended = []\n"
        "    async def long():\n"
        "        try:\n            await asyncio.sleep(60)\n"
        "        except asyncio.CancelledError:\n            ended.append('cancelled')\n            raise\n"
        "    try:\n"
        "        async with asyncio.TaskGroup() as group:\n"
        "            group.create_task(long())\n            await asyncio.sleep(0)\n"
        "            group.create_task(fail())\n"
        "    except* ValueError as errors:\n        ended.append(str(errors.exceptions[0]))\n"
        "    return ended",
        '["cancelled", "no"]',
    ),
    "a Queue connects tasks, and a full one holds them up": (
        "async def main():\n"
        "    queue = asyncio.Queue(2)\n"
        "    async def produce():\n"
        "        for i in range(6): await queue.put(i)\n"
        "        await queue.put(None)\n"
        "    task = asyncio.create_task(produce())\n"
        "    got = []\n"
        "    while (item := await queue.get()) is not None: got.append(item)\n"
        "    await task\n"
        "    return got",
        "[0, 1, 2, 3, 4, 5]",
    ),
    "Event, Lock, Semaphore and Condition": (
        "async def main():\n"
        "    event, gate, log = asyncio.Event(), asyncio.Semaphore(2), []\n"
        "    inside = most = 0\n"
        "    async def enter():\n"
        "        nonlocal inside, most\n"
        "        await event.wait()\n"
        "        async with gate:\n"
        "            inside += 1\n            most = max(most, inside)\n"
        "            await asyncio.sleep(.001)\n            inside -= 1\n"
        "    tasks = [asyncio.create_task(enter()) for _ in range(5)]\n"
        "    await asyncio.sleep(0)\n"
        "    event.set()\n"
        "    await asyncio.gather(*tasks)\n"
        "    condition = asyncio.Condition()\n"
        "    async def wait():\n"
        "        async with condition:\n            await condition.wait()\n            return 'told'\n"
        "    waiter = asyncio.create_task(wait())\n"
        "    await asyncio.sleep(0)\n"
        "    async with condition: condition.notify_all()\n"
        "    return [most, await waiter]",
        '[2, "told"]',
    ),
    "async for, async with, async generators": (
        "from contextlib import asynccontextmanager\n"
        "@asynccontextmanager\n"
        "async def numbers(n):\n"
        "    async def count():\n"
        "        for i in range(n):\n            await asyncio.sleep(0)\n            yield i\n"
        "    yield count()\n"
        "async def main():\n"
        "    async with numbers(3) as counted:\n        return [i async for i in counted]",
        "[0, 1, 2]",
    ),
    "shield, and a cancellation that is seen": (
        "async def main():\n"
        "    inner = asyncio.create_task(asyncio.sleep(.02, 'kept'))\n"
        "    try:\n        await asyncio.wait_for(asyncio.shield(inner), .001)\n"
        "    except TimeoutError:\n        return await inner",
        "kept",
    ),
    "raw futures: poll, any, all, with a deadline and dropped": (
        "async def main():\n"
        "    soon, late = raw.sleep(1), raw.sleep(60_000)\n"
        "    first = raw.wait_any([soon, late])\n"
        "    none = raw.wait_any([late], timeout_ms=5)\n"
        "    polled = raw.poll([soon, late])\n"
        "    del late\n"
        "    await asyncio.gather(raw.sleep(1), raw.sleep(2))\n"
        "    return [first == [soon], none, polled == [soon]]",
        "[true, [], true]",
    ),
    "a context variable belongs to its task": (
        "import contextvars\n"
        "var = contextvars.ContextVar('var', default=0)\n"
        "async def bump():\n    var.set(var.get() + 1)\n    await asyncio.sleep(0)\n    return var.get()\n"
        "async def main():\n    return [*await asyncio.gather(bump(), bump()), var.get()]",
        "[1, 1, 0]",
    ),
    "asyncio.run in a main that is not async": (
        "async def work():\n    await asyncio.sleep(.001)\n    return 5\n"
        "def main():\n    return asyncio.run(work())",
        "5",
    ),
}


@pytest.mark.parametrize("name", PROGRAMS)
async def test_asyncio_is_ordinary(sandbox: Sandbox, name: str) -> None:
    text, result = PROGRAMS[name]
    assert await sandbox.result(f"import asyncio\nfrom inferlet import raw, receive\n{text}") == result


async def test_waiting_for_a_message_and_for_time_at_once(sandbox: Sandbox) -> None:
    text = (
        "import asyncio\n"
        "from inferlet import receive, send\n"
        "async def main():\n"
        "    ticks = 0\n"
        "    async def tick():\n"
        "        nonlocal ticks\n"
        "        while True:\n"
        "            await asyncio.sleep(.001)\n"
        "            ticks += 1\n"
        "            if ticks == 3: send('three')\n"
        "    ticking = asyncio.create_task(tick())\n"
        "    word = await receive()\n"
        "    ticking.cancel()\n"
        "    return word if ticks >= 3 else 'too soon'\n"
    )
    instance = sandbox.launch(text)
    assert await message(instance) == "three"
    instance.post("now")
    assert await instance.wait() == Finished("now")
