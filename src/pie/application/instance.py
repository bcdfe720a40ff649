"""An inferlet from launch to end, as the rooms above see it."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any

from pie.application.ending import of_error, of_outcome
from pie.application.guest import Guest
from pie.application.lifecycle import ENDS, Happening, State, after
from pie.application.mailbox import Outbox
from pie.application.timeline import make_timeline
from pie.application.usage import InstanceUsage
from pie.control.trace import Trace
from pie.core.errors import Cancelled, InternalError, LimitExceeded, NotFound, PieError, WrongState
from pie.core.events import Event, Failed, Finished, Started
from pie.core.ids import InstanceId
from pie.core.programs import DEFAULT_TENANT


class Instance:
    """Made by `Application.launch`. All methods belong on the loop's thread."""

    def __init__(
        self,
        id: InstanceId,
        program: str,
        loop: asyncio.AbstractEventLoop,
        ended: "Callable[[Instance, Finished | Failed], None]",
        tenant: str = DEFAULT_TENANT,
        spawned: bool = False,
    ) -> None:
        self.id = id
        self.tenant = tenant
        self.spawned = spawned
        """By another program."""
        self.program = program
        """Its name, for people."""
        self.state: State = "waiting"
        self.started_at = time.time()
        self.finished_at: float | None = None
        self._guest: Guest | None = None
        self._usage: InstanceUsage | None = None
        self.trace: Trace | None = None
        """What it did, for its timeline; None where timelines are off."""
        self.outbox = Outbox()
        self._result: asyncio.Future[Finished | Failed] = loop.create_future()
        self._ended = ended
        self._when_ended: list[Callable[[Finished | Failed], None]] = []

    def events(self) -> AsyncIterator[Event]:
        """From the first event on, as far as they are kept; ends after `Finished` or `Failed`. Whoever asks
        in the same turn of the loop as the launch misses nothing.

        While somebody reads, a program that sends faster than they read waits for them.
        """
        return self.outbox.read()

    def post(self, message: str | bytes) -> None:
        """To the program's `receive`. Raises `WrongState` after its end, `LimitExceeded` when it is full."""
        if self._guest is None:
            raise WrongState(f"instance {self.id} has {self.state}: it receives no messages any more")
        self._guest.check_size("a message", len(message))
        self._guest.inbox.post(message)

    def cancel(self) -> None:
        """Ends the program where it is, at once. Does nothing after its end."""
        self.abort(Cancelled("the program was cancelled"))

    async def wait(self) -> Finished | Failed:
        """How it ended."""
        return await asyncio.shield(self._result)

    def usage(self) -> InstanceUsage:
        if self._usage is not None:
            return self._usage
        if self._guest is None:
            raise InternalError("an instance without a guest has no usage")
        return self._guest.usage()

    def timeline(self) -> dict[str, Any]:
        """What it did and waited for so far, in the trace event format (`timeline.py`). Raises `NotFound`
        where timelines are off."""
        return self.look_back()()

    def look_back(self) -> Callable[[], dict[str, Any]]:
        """`timeline`, to be written on another thread: with many children it takes a second."""
        if self.trace is None:
            raise NotFound("timelines are off: start the server, or the program, with trace_events above 0")
        return partial(make_timeline, self.trace.copy(), self.started_at)

    # For the application

    @property
    def guest(self) -> Guest | None:
        """None after its end."""
        return self._guest

    @property
    def kept_bytes(self) -> int:
        """What is remembered of it after its end."""
        return self.outbox.kept_bytes + (0 if self.trace is None else self.trace.kept_bytes)

    @property
    def over(self) -> bool:
        return self.state in ENDS

    def begin(self, guest: Guest) -> None:
        self._guest = guest
        self.trace = guest.trace
        if guest.trace is not None:
            guest.trace.name = f"{self.program} ({self.id})"
        self.outbox.put(Started(self.id))

    def when_ended(self, callback: Callable[[Finished | Failed], None]) -> None:
        """Called once, with how it ended."""
        self._when_ended.append(callback)

    def admitted(self) -> None:
        """It has got its place; its time begins."""
        self.state = after(self.state, "admit")
        self.started_at = time.time()
        if self._guest is not None:
            self._guest.begin()

    def charge_pages(self) -> None:
        """Page-seconds until now. Ends the program where none are left."""
        guest = self._guest
        if guest is not None:
            guest.session.charge_pages()
            try:
                guest.budget.check("page_seconds")
            except LimitExceeded as error:
                self.abort(error)

    def runs(self) -> None:
        if self.state == "starting":
            self.state = after(self.state, "run")

    def abort(self, why: PieError) -> None:
        """Ends the program from outside."""
        if not self.over:
            self._end(of_error(why))

    def settle(self) -> None:
        """The guest has left the sandbox for good."""
        guest = self._guest
        if guest is None or self.over:
            return
        if guest.doomed is not None:
            self._end(of_error(guest.doomed))
        elif guest.fiber is not None and guest.fiber.outcome is not None:
            self._end(of_outcome(guest.fiber.outcome, guest.limits, guest.last_loop()))
        else:
            self._end(of_error(InternalError("the program stopped without an outcome")))

    def _end(self, event: Finished | Failed) -> None:
        guest = self._guest
        if guest is None:
            raise InternalError("an instance without a guest cannot end")
        self.state = after(self.state, _happening(event))
        self.finished_at = time.time()
        self._usage = guest.usage()
        self._guest = None
        guest.close()
        self.outbox.put(event)
        self.outbox.end()
        self._result.set_result(event)
        self._ended(self, event)
        for callback in self._when_ended:
            callback(event)


def _happening(event: Finished | Failed) -> Happening:
    if isinstance(event, Finished):
        return "finish"
    return "cancel" if event.reason == "cancelled" else "fail"
