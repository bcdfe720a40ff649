"""What the tests of the whole stack do with it."""

import asyncio
from dataclasses import dataclass

from pie.application.instance import Instance
from pie.core.events import Failed, Finished
from pie.core.programs import Launch, Limits, Source
from pie.launch import Stack

GREEDY = """
from inferlet import Context

async def main(prompt: str, max_tokens: int):
    with Context() as context:
        context.fill(prompt)
        start = len(context)
        await context.generate(max_tokens, stop_tokens=())
        return {"prompt": context.tokens[:start], "tokens": context.tokens[start:]}
"""


@dataclass(frozen=True, slots=True)
class Held:
    """What a program can take and must give back, however it ends."""

    pages: int
    embs: int
    queues: int
    sessions: int
    alive: int
    tasks: int
    descriptors: int


@dataclass(frozen=True, slots=True)
class Whole:
    stack: Stack

    def launch(self, text: str, *args: str, limits: Limits | None = None) -> Instance:
        launch = Launch(Source(text, "mine.py"), args, limits or Limits())
        return self.stack.application.launch(launch)

    async def run(self, text: str, *args: str, limits: Limits | None = None) -> Finished | Failed:
        return await self.launch(text, *args, limits=limits).wait()

    async def result(self, text: str, *args: str) -> str:
        ended = await self.run(text, *args)
        assert isinstance(ended, Finished), ended
        return ended.result

    async def failure(self, text: str, *args: str, limits: Limits | None = None) -> Failed:
        ended = await self.run(text, *args, limits=limits)
        assert isinstance(ended, Failed), ended
        return ended

    async def settle(self) -> None:
        """Until nothing is in flight: the last pass of an ended program may still be with the driver."""
        models = self.stack.control.statistics().models
        async with asyncio.timeout(60):
            while any(model.passes_in_flight for model in models.values()):
                await asyncio.sleep(0.01)
                models = self.stack.control.statistics().models
