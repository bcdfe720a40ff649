"""A program in the sandbox that makes the calls a test tells it to, and says what came back.

Calls go through everything that a program's calls go through: generated bindings, the component's types, the
linker's marshalling, our bindings, the control layer. Only the driver computes nothing.
"""

import ast
import asyncio
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

from pie.application import Application, Instance
from pie.core.events import Event, Failed, Finished, Message
from pie.core.programs import Launch, Limits, Source

PROGRAM = """
import enum

from componentize_py_types import Err, Ok
from inferlet import raw
from wit_world.imports import (
    allocate, constrain, forward, futures, http, input_image, input_text, introspect, output_text, runtime,
    sample, score, spawning, store, tokenize, topics, types,
)


def plain(value):
    if isinstance(value, enum.Enum):
        return value.name.lower().replace("_", "-")
    if isinstance(value, (list, tuple)):
        return type(value)(map(plain, value))
    if hasattr(value, "__dataclass_fields__"):
        return {name: plain(getattr(value, name)) for name in value.__dataclass_fields__}
    return value


def outcome(expression):
    try:
        return "value", plain(eval(expression))
    except Err as error:
        return "error", plain(error.value)


while order := raw.receive().wait():
    raw.send(repr(outcome(order)))
"""


SECONDS = 60
"""For one call, on a machine that is busy."""


class Code(str):
    """A Python expression of the puppet's, where a value has no literal: records, enums, long lists."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


class Refused(Exception):
    """The error of a call, as the program got it."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(f"{kind}: {message}")
        self.kind = kind
        self.message = message


class Call(NamedTuple):
    """`name` as in the WIT: `allocate.alloc-kvpage`."""

    name: str
    arguments: tuple[Any, ...]

    def expression(self) -> str:
        return f"{self.name.replace('-', '_')}({', '.join(map(repr, self.arguments))})"


class Puppet:
    """One instance; its queue, pages and so on are its own."""

    def __init__(self, application: Application, limits: Limits, tenant: str, args: tuple[str, ...]) -> None:
        launch = Launch(Source(PROGRAM, "puppet.py"), args, limits, tenant)
        self.instance: Instance = application.launch(launch)
        self._events: AsyncIterator[Event] = self.instance.events()
        self.told: list[Event] = []
        """Events that were no answers: what the calls themselves sent."""

    async def call(self, name: str, *arguments: Any) -> Any:
        """Its result; raises `Refused`."""
        return await self.evaluate(Call(name, arguments).expression())

    async def evaluate(self, expression: str) -> Any:
        self.instance.post(expression)
        async with asyncio.timeout(SECONDS):
            kind, value = ast.literal_eval(await self._answer())
        if kind == "error":
            raise Refused(value["kind"], value["message"])
        return value

    async def wait(self, future: int) -> int:
        """Until a future is there; its number."""
        await self.call("futures.wait", future)
        return future

    async def made(self, name: str, *arguments: Any) -> int:
        """The future of a call, when it is there."""
        return await self.wait(await self.call(name, *arguments))

    async def end(self) -> Finished | Failed:
        if self.instance.finished_at is None:
            self.instance.post("")
        return await self.instance.wait()

    async def _answer(self) -> str:
        async for event in self._events:
            if isinstance(event, Message) and event.text.startswith(("('value', ", "('error', ")):
                return event.text
            if isinstance(event, Finished | Failed):
                raise AssertionError(f"the program ended: {event}")
            self.told.append(event)
        raise AssertionError("the program said nothing any more")
