"""A running program, wherever it runs, as the verb `run` needs it."""

from collections.abc import AsyncIterator
from typing import Protocol

from pie.core.events import Event


class Job(Protocol):
    def events(self) -> AsyncIterator[Event]: ...

    async def post(self, line: str) -> None: ...

    async def cancel(self) -> None: ...
