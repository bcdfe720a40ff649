"""What must happen when a pass returns."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from pie.control.queue import CommandQueue
from pie.core.commands import Completion
from pie.core.ids import PhysicalEmb, PhysicalPage
from pie.core.passes import Pass


@dataclass(slots=True, eq=False)
class Entry:
    """One queue's part in a pass."""

    queue: CommandQueue
    epoch: int
    """The queue's epoch then: a reset since means that a failure no longer concerns it."""
    commands: int = 0
    size: int = 0
    tokens: int = 0
    dists: int = 0


class DistTicket(NamedTuple):
    """One distribution of a pass: who asked and where the answer goes."""

    queue: CommandQueue
    completion: Completion | None
    scored: Sequence[int]


@dataclass(slots=True, eq=False)
class Ticket:
    """A pass and what waits for it. Made with the pass, finished once by the dispatcher."""

    work: Pass
    entries: list[Entry]
    dists: list[DistTicket]
    syncs: list[tuple[CommandQueue, Completion]]
    written_pages: set[PhysicalPage] = field(default_factory=set)
    """Whose contents are unknown when the pass fails."""
    written_embs: set[PhysicalEmb] = field(default_factory=set)
