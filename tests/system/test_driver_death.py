"""The driver process is killed in the middle of decoding."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator

from whole import GREEDY, Whole

from pie.core.events import Event, Failed, Message

CHATTY = """
from inferlet import Context, send

async def main():
    with Context() as context:
        context.fill("A long story about the sea:")
        async for _ in context.stream(200, stop_tokens=()):
            send("token")
"""
FORGIVING = """
from inferlet import Context, InferletError, receive, send

async def main():
    try:
        with Context() as context:
            context.fill("Another story:")
            async for _ in context.stream(200, stop_tokens=()):
                send("token")
    except InferletError as error:
        send(f"lost: {error}")
    await receive()
    with Context() as context:
        context.fill("Water boils at")
        return await context.generate(4)
"""


async def test_every_program_gets_a_clear_error_and_new_work_goes_on(whole: Whole) -> None:
    before = await whole.result(GREEDY, "--prompt", "Water boils at", "--max-tokens", "4")
    chatty, forgiving = [whole.launch(CHATTY) for _ in range(3)], whole.launch(FORGIVING)
    news = forgiving.events()
    while await anext(news) != Message("token"):
        pass
    pid = whole.stack.driver.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    for ended in await asyncio.gather(*(instance.wait() for instance in chatty)):
        assert isinstance(ended, Failed)
        assert "driver" in ended.message
        assert "restart" in ended.message
    said = await lost_message(news)
    assert "driver" in said
    async with asyncio.timeout(60):
        while whole.stack.driver.pid in (None, pid):  # noqa: ASYNC110  (another process: nothing to wait for)
            await asyncio.sleep(0.05)
    assert await whole.result(GREEDY, "--prompt", "Water boils at", "--max-tokens", "4") == before
    forgiving.post("go on")
    assert not isinstance(await forgiving.wait(), Failed)


async def lost_message(news: AsyncIterator[Event]) -> str:
    last: Event | None = None
    async for event in news:
        if isinstance(event, Message) and event.text.startswith("lost"):
            return event.text
        last = event
    return f"it ended first: {last}"
