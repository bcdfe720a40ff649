"""What one program did and waited for, and when: the latest of it, for its timeline.

Times are seconds of the control layer's clock. A happening is a kind, its start, its end, and what the kind
tells beside:

    ("run", start, end, wait)      it computed; the host call in which it waited then ("" where in none)
    ("call", start, end, name)     a host call that did not wait
    ("pass", start, end, queue, number, since, sent, tokens, answers, programs, all_tokens, failed)
                                   a pass it took part in: with the driver from `start` on; its queue had
                                   waited since `since` and the pass was sent at `sent`
    ("tool", start, end, name)     something outside the model that it waited for
    ("suspended", start, end, pages)

What happens for each token has rings of its own, so that it does not push out what is rare. Those hold the
fields of happenings one after the other: thousands of tuples that stay would make Python's garbage collector
look at everything there is every few thousand tokens, which costs more than all the rest.
"""

from collections import deque
from collections.abc import Callable
from copy import copy
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from pie.control.addresses import AddressSpace
    from pie.control.ticket import Ticket

MOST_SELDOM = 512
"""Tool waits and suspensions that are kept."""
MOST_CHILDREN = 32
"""Spawned programs, the latest ones, whose timelines are kept with that of their parent."""
CALL_SHARE = 2
"""Passes get a ring of their own, half as long as that of runs and host calls."""

STEP_FIELDS, PASS_FIELDS = 4, 12

Happening = tuple[Any, ...]


class Trace:
    """One for each program, made with its session; read at any time, also after the end."""

    __slots__ = (
        "_passes", "_run_began", "_seldom", "_steps", "_tools", "_written", "began", "children", "ended",
        "name", "now", "packed", "queues", "suspended_at", "suspended_pages", "waiting",
    )  # fmt: skip

    def __init__(self, name: str, now: Callable[[], float], most: int) -> None:
        """`most`: runs and host calls that are kept."""
        self.name = name
        """Of its program, for people; known when it has been launched."""
        self.now = now
        self.began = now()
        self.ended: float | None = None
        self.waiting = ""
        """The host call in which it waits."""
        self.queues: list[str] = []
        """The model of each queue."""
        self.children: deque[Trace] = deque(maxlen=MOST_CHILDREN)
        self.suspended_at: float | None = None
        self.suspended_pages = 0
        self.packed = b""
        self._run_began = self.began
        self._steps: deque[Any] = deque(maxlen=most * STEP_FIELDS)
        self._passes: deque[Any] = deque(maxlen=max(1, most // CALL_SHARE) * PASS_FIELDS)
        self._seldom: deque[Happening] = deque(maxlen=MOST_SELDOM)
        self._tools: dict[int, tuple[str, float]] = {}
        self._written = 0

    # What happens for each token

    def runs(self) -> None:
        """It is let run."""
        self._run_began = self.now()

    def rests(self) -> None:
        """It waits in a host call, or its slice is used up."""
        self._written += 1
        self._steps.extend(("run", self._run_began, self.now(), self.waiting))

    def call(self, name: str, began: float) -> None:
        self._written += 1
        self._steps.extend(("call", began, self.now(), name))

    def passed(self, happening: Happening) -> None:
        self._written += 1
        self._passes.extend(happening)

    # What is rare

    def begin(self, name: str) -> int:
        """It waits for something outside. The number to `end` it with."""
        self._written += 1
        self._tools[self._written] = name, self.now()
        return self._written

    def end(self, number: int) -> None:
        """Does nothing the second time."""
        name, began = self._tools.pop(number, ("", 0.0))
        if name:
            self._seldom.append(("tool", began, self.now(), name))

    def suspend(self, pages: int, now: float) -> None:
        """Its pages leave the device."""
        if self.suspended_at is None:
            self.suspended_at, self.suspended_pages = now, 0
        self.suspended_pages += pages

    def resume(self, now: float) -> None:
        if self.suspended_at is not None:
            self._written += 1
            self._seldom.append(("suspended", self.suspended_at, now, self.suspended_pages))
            self.suspended_at = None

    def close(self) -> None:
        """The program has ended. What it leaves behind is kept small."""
        if self.ended is not None:
            return
        self.ended = self.now()
        for number in list(self._tools):
            self.end(number)
        self.resume(self.ended)
        self.packed = msgspec.msgpack.encode(self._kept())
        self._steps.clear()
        self._passes.clear()
        self._seldom.clear()

    # What it tells

    def copy(self) -> "Trace":
        """As it is now, for another thread to read at leisure."""
        twin = copy(self)
        twin._steps, twin._passes, twin._seldom = self._steps.copy(), self._passes.copy(), self._seldom.copy()
        twin._tools, twin.queues = dict(self._tools), list(self.queues)
        twin.children = deque(child.copy() for child in self.children)
        return twin

    @property
    def tools(self) -> list[str]:
        """What it waits for outside just now."""
        return [name for name, _ in self._tools.values()]

    @property
    def kept_bytes(self) -> int:
        """After its end."""
        return len(self.packed) + sum(child.kept_bytes for child in self.children)

    def happenings(self) -> list[Happening]:
        """All that is kept; what has begun and not ended ends now."""
        if self.packed:
            return [tuple(each) for each in msgspec.msgpack.decode(self.packed)]
        now = self.now()
        found = self._kept()
        found += [("tool", began, now, name) for name, began in self._tools.values()]
        if self.suspended_at is not None:
            found.append(("suspended", self.suspended_at, now, self.suspended_pages))
        return found

    def _kept(self) -> list[Happening]:
        steps = zip(*[iter(self._steps)] * STEP_FIELDS, strict=True)
        passes = zip(*[iter(self._passes)] * PASS_FIELDS, strict=True)
        return [*steps, *passes, *self._seldom]

    def forgotten(self, kept: int) -> int:
        """How many were too old to be kept, where `kept` still are."""
        return max(0, self._written - kept)


def note_pass(ticket: "Ticket", began: float, now: float, failed: bool = False) -> None:
    """Tells the programs that had a part in a pass. `began`: when the driver could begin with it."""
    work, entries = ticket.work, ticket.entries
    for entry in entries:
        trace = entry.queue.account.trace
        if trace is not None:
            trace.passed((
                "pass", max(began, ticket.sent), now, entry.queue.name, work.number, entry.since, ticket.sent,
                entry.tokens, entry.dists, len(entries), len(work.inputs), failed,
            ))  # fmt: skip


def note_suspended(space: "AddressSpace", pages: int, now: float) -> None:
    trace = _trace_of(space)
    if trace is not None:
        trace.suspend(pages, now)


def note_resumed(space: "AddressSpace", now: float) -> None:
    trace = _trace_of(space)
    if trace is not None:
        trace.resume(now)


def _trace_of(space: "AddressSpace") -> Trace | None:
    """Of the program whose pages these are; None where it has none, or has ended."""
    return space.queues[0].account.trace if space.queues else None
