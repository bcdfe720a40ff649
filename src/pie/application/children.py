"""The programs that one program has spawned: its children.

A child gets a share of what its parent has left. Pages and futures are lent to it until it ends; processor
time is charged to all its ancestors as it is used, so that a whole tree never uses more than its root may;
and how many of them are alive is bounded for each tree. A child ends with its parent at the latest.
"""

import asyncio
import math
import re
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from pie.application.futures import Future
from pie.application.line import Line
from pie.core.errors import (
    Cancelled,
    ChildFailed,
    InvalidArgument,
    LimitExceeded,
    UnknownId,
)
from pie.core.events import Blob, Event, Failed, Finished, Message
from pie.core.programs import Component, Launch, Limits, Program, Source, Standard

if TYPE_CHECKING:
    from pie.application.guest import Guest
    from pie.application.instance import Instance

LEAST_CALLS = 16
"""Futures that a program needs to do anything at all."""
MOST_ENDED = 256
"""Children whose end is remembered."""
MOST_UNREAD = 256
MOST_UNREAD_SIZE = 1 << 20
"""Messages of one child before its parent; beyond, the child waits, or the oldest are dropped where its
parent waits for its end and has never received."""
SPAWNED = "spawned.py"
DIGEST = re.compile(r"[0-9a-f]{64}")

Start = Callable[[Launch, "Guest"], "Instance"]
"""Launches a program as a child."""


class Child:
    """One of them, alive or ended."""

    def __init__(self, number: int, parent: "Guest", instance: "Instance", lent: Limits) -> None:
        self.number = number
        self._parent = parent
        self.instance = instance
        self.lent = lent
        self._ended: Finished | Failed | None = None
        self._waiting: dict[Future, None] = {}
        self._room = asyncio.Event()
        self._texts: Line[str] = Line(self._room.set)
        self._blobs: Line[bytes] = Line(self._room.set)
        self._heard = False
        """Its parent has received from it."""
        self._relay = asyncio.create_task(self._pass_on(instance.events()))

    def wait(self) -> Future:
        """Completes with the result, or fails with `ChildFailed`."""
        future = Future(lambda dropped: self._waiting.pop(dropped, None))
        self._waiting[future] = None
        self._room.set()
        if self._ended is not None:
            self._tell(self._ended)
        return future

    def receive(self) -> Future:
        """The next text."""
        self._heard = True
        return self._texts.receive()

    def receive_blob(self) -> Future:
        self._heard = True
        return self._blobs.receive()

    def end(self, event: Finished | Failed) -> None:
        self._ended = event
        self._tell(event)

    def close(self) -> None:
        self.instance.abort(Cancelled("the program that spawned it has ended"))
        self._relay.cancel()

    @property
    def kept_bytes(self) -> int:
        return self.instance.outbox.kept_bytes + self._texts.size + self._blobs.size

    def _tell(self, event: Finished | Failed) -> None:
        waiting, self._waiting = self._waiting, {}
        for future in waiting:
            if isinstance(event, Finished):
                future.resolve(event.result)
            else:
                future.fail(ChildFailed(self._failure(event)))

    def _failure(self, event: Failed) -> str:
        frames = f"\n\n{event.traceback}" if event.traceback else ""
        return f"{self._name()} failed ({event.reason}): {event.message}{frames}"

    def _name(self) -> str:
        return f"child {self.number} ({self.instance.program})"

    async def _pass_on(self, events: AsyncIterator[Event]) -> None:
        async for event in events:
            if isinstance(event, Message):
                self._texts.post(event.text)
            elif isinstance(event, Blob):
                self._blobs.post(event.data)
            await self._until_room()
        over = Cancelled(f"{self._name()} has ended and sends nothing more")
        self._texts.end(over)
        self._blobs.end(over)

    async def _until_room(self) -> None:
        """A parent that only waits for the end would wait for ever if its child had to wait for it.

        That it will never receive can be said only when it sleeps: until then it may be on its way to.
        """
        while self._full():
            only_waits = bool(self._waiting) and not self._heard
            if only_waits and self._parent.asleep:
                (self._texts if self._texts.messages else self._blobs).drop_oldest()
            else:
                self._room.clear()
                if only_waits:
                    self._parent.when_asleep(self._room.set)
                await self._room.wait()

    def _full(self) -> bool:
        count = len(self._texts.messages) + len(self._blobs.messages)
        return count >= MOST_UNREAD or self._texts.size + self._blobs.size >= MOST_UNREAD_SIZE


class Children:
    """Those of one program, by number from 1."""

    def __init__(self, parent: "Guest", start: Start) -> None:
        self._parent = parent
        self._start = start
        self._children: dict[int, Child] = {}
        self._last = 0
        self.alive = 0
        """With their own children, and theirs."""

    def spawn(self, program: Program, args: tuple[str, ...], share: float) -> int:
        """Raises `LimitExceeded` where the tree is full or too little is left, and what a launch raises."""
        if not 0 < share <= 1:
            raise InvalidArgument(f"share is above 0 and at most 1, not {share:g}")
        self._check_room()
        limits = share_of(self._parent, share)
        launch = Launch(program, args, limits, self._parent.tenant)
        child = Child(self._last + 1, self._parent, self._start(launch, self._parent), limits)
        self._last += 1
        self._children[child.number] = child
        self._note(child)
        self._parent.lend(limits.pages, limits.calls_in_flight)
        for ancestor in lineage(self._parent):
            ancestor.children.alive += 1
        child.instance.when_ended(lambda event: self._ended(child, event))
        return child.number

    def find(self, number: int) -> Child:
        try:
            return self._children[number]
        except KeyError:
            state = "ended long ago" if 0 < number <= self._last else "does not exist: spawn first"
            raise UnknownId(f"child {number} {state}") from None

    def left(self) -> int:
        """How many more may be alive, as far as this program and its ancestors are concerned."""
        return min(each.limits.children - each.children.alive for each in lineage(self._parent))

    def close(self) -> None:
        for child in list(self._children.values()):
            child.close()
        self._children.clear()

    def _note(self, child: Child) -> None:
        """In the timeline of its parent."""
        mine, its = self._parent.trace, child.instance.trace
        if mine is not None and its is not None:
            mine.children.append(its)

    def _check_room(self) -> None:
        for guest in lineage(self._parent):
            if guest.children.alive >= guest.limits.children:
                whose = "this program" if guest is self._parent else "a program above this one"
                raise LimitExceeded(
                    f"{guest.children.alive} programs that {whose} has spawned, directly or not, are alive, "
                    "as many as allowed (children): wait for one"
                )

    def _ended(self, child: Child, event: Finished | Failed) -> None:
        for ancestor in lineage(self._parent):
            ancestor.children.alive -= 1
        self._parent.lend(-child.lent.pages, -child.lent.calls_in_flight)
        child.end(event)
        self._forget_some()

    def _forget_some(self) -> None:
        """The oldest that have ended."""
        over = [number for number, child in self._children.items() if child.instance.over]
        for number in over[:-MOST_ENDED]:
            self._children.pop(number).close()


def lineage(guest: "Guest") -> "Iterator[Guest]":
    """A program, whoever spawned it, and so on."""
    found: Guest | None = guest
    while found is not None:
        yield found
        found = found.parent


def share_of(guest: "Guest", share: float) -> Limits:
    """Limits for a child. Raises `LimitExceeded` where they would be too small to do anything."""
    left = guest.usage()
    calls = min(int(left.calls_left * share), left.calls_left - LEAST_CALLS)
    if calls < LEAST_CALLS:
        raise LimitExceeded(
            f"a share of {share:g} of the {left.calls_left} calls that are left is too little: parent and "
            f"child need {LEAST_CALLS} each"
        )
    return replace(
        guest.limits,
        cpu_seconds=left.cpu_ms_left / 1000 * share,
        wall_seconds=left.wall_ms_left / 1000 * share,
        calls_in_flight=calls,
        pages=int(guest.session.pages.left * share),
        children=int((guest.children.left() - 1) * share),
        tokens=_part(left.tokens_left, share),
        compute_ms=_part(left.compute_ms_left, share),
        page_seconds=_part(left.page_seconds_left, share),
        host_calls=_part(left.host_calls_left, share),
        bytes_out=_part(left.bytes_out_left, share),
    )


def _part(left: float | None, share: float) -> float:
    return math.inf if left is None else left * share


def to_program(case: str, text: str | None, guest: "Guest") -> Program:
    """The contract's variant `program`. Raises `InvalidArgument` for a component's functions."""
    match case, text:
        case "named", str(name):
            return Component(name) if DIGEST.fullmatch(name) else Standard(name)
        case "source", str(source):
            return Source(source, SPAWNED)
        case "function", str(name) if guest.program is not None:
            return replace(guest.program, entry=name)
        case "function", _:
            raise InvalidArgument("only a Python program can spawn its functions: spawn `myself`")
    return guest.origin
