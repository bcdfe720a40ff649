"""Messages between the programs of a tenant.

    from inferlet import topic

    async def main():
        async for task in topic("tasks"):
            await topic("results").publish({"task": task, "answer": 42})

Messages are values that JSON can carry. Whoever subscribes gets what is published from then on; a subscriber
that does not keep up makes publishers wait, and loses nothing.
"""

import json
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Any, Self

from inferlet import raw

__all__ = ["Subscription", "Topic", "topic"]


class Subscription:
    """One mailbox. Ends with its `with` block, and with the program at the latest."""

    def __init__(self, topic: str) -> None:
        self.topic = topic
        self._number: int | None = raw.subscribe(topic)

    async def receive(self) -> Any:
        """The next message. Raises `UnknownId` when the subscription has ended."""
        return _read(await raw.next_message(self._number or 0))

    def close(self) -> None:
        """Ends it; what it has not received is thrown away. May be called again."""
        number, self._number = self._number, None
        if number is not None:
            raw.unsubscribe(number)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        if self._number is None:
            raise StopAsyncIteration
        return await self.receive()


class Topic:
    """A name on which the tenant's programs publish and to which they subscribe. It needs not be made."""

    def __init__(self, name: str) -> None:
        self.name = name

    async def publish(self, message: Any) -> None:
        """Returns when every subscriber of this moment has room for the message."""
        await raw.broadcast(self.name, json.dumps(message, ensure_ascii=False))

    def subscribe(self) -> Subscription:
        """Subscribes now; `with` it, iterate it or `receive` from it."""
        return Subscription(self.name)

    async def __aiter__(self) -> AsyncIterator[Any]:
        """Subscribes when the loop begins, and until it ends."""
        with self.subscribe() as messages:
            async for message in messages:
                yield message

    def __repr__(self) -> str:
        return f"topic({self.name!r})"


def topic(name: str) -> Topic:
    """The topic of this name."""
    return Topic(name)


def _read(text: str) -> Any:
    """What other languages' programs send may be plain text."""
    try:
        return json.loads(text)
    except ValueError:
        return text
