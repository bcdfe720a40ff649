"""Commands that can fail alone, in the driver, while the rest of their pass succeeds."""

from typing import Any, NamedTuple

from pie.control.leases import Lease
from pie.control.queue import CommandQueue
from pie.core.errors import InvalidArgument, PieError
from pie.core.passes import FaultKind, PassResult


class Fallible(NamedTuple):
    """Whose command it is, and how many answers of each kind the pass had been asked for before it: the
    queue's answers from there on come after it, or are its own."""

    queue: CommandQueue
    lease: Lease[Any, Any]
    dists: int
    samples: int
    questions: int


class Refusal(NamedTuple):
    """A queue's answers from these numbers on fail with `error`."""

    error: PieError
    dists: int = 0
    samples: int = 0
    questions: int = 0


Fallibles = dict[tuple[FaultKind, int], Fallible]


def are_known(fallible: Fallibles, result: PassResult) -> bool:
    """Whether the driver speaks of commands that can fail alone, and of those only."""
    rows = zip(result.fault_rows[::2], result.fault_rows[1::2], strict=False)
    return len(result.fault_rows) == 2 * len(result.fault_texts) and all(row in fallible for row in rows)


def find_refusals(fallible: Fallibles, result: PassResult) -> dict[CommandQueue, Refusal]:
    """The first failure of each queue in a pass."""
    refused: dict[CommandQueue, Refusal] = {}
    for kind, row, message in result.faults():
        queue, lease, *before = fallible[kind, row]
        if queue not in refused or tuple(before) < refused[queue][1:]:
            refused[queue] = Refusal(InvalidArgument(f"{lease.noun} {lease.name}: {message}"), *before)
    return refused
