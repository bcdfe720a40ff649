"""What the tests of the whole stack do with it."""

import asyncio
from dataclasses import dataclass

from pie.application import Application
from pie.launch import Stack
from pie.testing.programs import Programs

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
class Whole(Programs):
    stack: Stack

    @property
    def application(self) -> Application:
        return self.stack.application

    async def settle(self) -> None:
        """Until nothing is in flight: the last pass of an ended program may still be with the driver."""
        models = self.stack.control.statistics().models
        async with asyncio.timeout(60):
            while any(model.passes_in_flight for model in models.values()):
                await asyncio.sleep(0.01)
                models = self.stack.control.statistics().models
