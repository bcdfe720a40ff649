"""What commands that need no driver are executed with."""

from collections import deque
from dataclasses import dataclass, field
from typing import NamedTuple

from pie.control.batch import Batch
from pie.control.memory import Memory
from pie.control.outcomes import AnyOutcome
from pie.control.queue import CommandQueue
from pie.control.ticket import Ticket


@dataclass(slots=True, eq=False)
class Desk:
    memory: Memory
    outcomes: deque[AnyOutcome] = field(default_factory=deque)
    """What has to be told to programs."""
    in_flight: deque[Ticket] = field(default_factory=deque)
    """Oldest first."""


class Turn(NamedTuple):
    """Whose command it is, and when."""

    queue: CommandQueue
    now: float
    batch: Batch | None
    """The pass under construction."""
    joined: bool
    """It has commands of this queue."""
