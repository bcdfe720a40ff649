"""Being told that pages run short, before the server takes them all.

    async def give_back(drafts: list[Context]):
        async for missing in on_pressure():
            drafts.pop().close()

    async def main():
        watch = asyncio.create_task(give_back(drafts))

A program that holds pages while others find none is suspended with all of them, until there is room again.
One that asks to be told has a moment to give back what it needs least.
"""

from collections.abc import AsyncIterator

from inferlet import raw
from inferlet.model import Model

__all__ = ["on_pressure"]


async def on_pressure(model: Model | str | None = None) -> AsyncIterator[int]:
    """Yields how many pages others need, each time that pages of the model run short while this program has
    some. Ends never: leave the loop, or cancel its task."""
    found = model if isinstance(model, Model) else Model(model)
    queue = found.pools.take_queue(found.name)
    try:
        while True:
            yield await raw.on_pressure(queue)
    finally:
        found.pools.queues.append(queue)
