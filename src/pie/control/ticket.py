"""What must happen when a pass returns."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from pie.control.addresses import AddressSpace
from pie.control.faults import Fallibles, Refusal
from pie.control.leases import Kind
from pie.control.queue import CommandQueue
from pie.control.sampled import Sampled
from pie.control.work import DecodeWork
from pie.core.commands import Completion
from pie.core.ids import HostPlace
from pie.core.passes import Pass, PassResult


@dataclass(slots=True, eq=False)
class Entry:
    """One queue's part in a pass."""

    queue: CommandQueue
    epoch: int
    """The queue's epoch then: a reset since means that a failure no longer concerns it."""
    joined: bool = False
    """It has a part in the pass indeed."""
    commands: int = 0
    size: int = 0
    tokens: int = 0
    dists: int = 0
    since: float = 0.0
    """When its queue began to wait for the pass."""

    @property
    def cost(self) -> int:
        """Its share of the pass: input tokens and distributions."""
        return self.tokens + self.dists or 1


class DistTicket(NamedTuple):
    """One distribution of a pass: who asked and where the answer goes."""

    queue: CommandQueue
    completion: Completion | None
    scored: Sequence[int]


class SampleTicket(NamedTuple):
    """One sample of a pass."""

    queue: CommandQueue
    sampled: Sampled
    run: DecodeWork | None


class Question(NamedTuple):
    """Anything else that is asked of a pass; `read` takes the answer out of its result. Synchronizations are
    questions too."""

    queue: CommandQueue
    completion: Completion
    read: Callable[[PassResult], object]


@dataclass(slots=True, eq=False)
class Ticket:
    """A pass and what waits for it. Made with the pass, finished once by the dispatcher."""

    work: Pass
    entries: list[Entry]
    dists: list[DistTicket]
    samples: list[SampleTicket]
    questions: list[Question]
    written: Mapping[Kind, set[Any]] = field(default_factory=dict)
    """Places whose contents are unknown when the pass fails."""
    host_places: set[HostPlace] = field(default_factory=set)
    """The same in host memory and on disk."""
    arrivals: list[AddressSpace] = field(default_factory=list)
    """Programs whose pages it brings from disk: only its return tells whether they are whole."""
    fallible: Fallibles = field(default_factory=dict)
    refused: dict[CommandQueue, Refusal] = field(default_factory=dict)
    """Queues of which a command has failed alone."""
    seconds: float = 0.0
    """What it should take."""
    sent: float = 0.0

    def asks(self) -> Iterator[CommandQueue]:
        """The queues whose programs wait for an answer."""
        yield from (dist.queue for dist in self.dists)
        yield from (question.queue for question in self.questions)
