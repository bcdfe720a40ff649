"""Commands that can fail alone, in the driver, while the rest of their pass succeeds."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from pie.control.leases import Lease
from pie.control.queue import CommandQueue
from pie.core.errors import InvalidArgument, PieError
from pie.core.ids import PhysicalPage
from pie.core.passes import FaultKind, Pass, PassResult


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


def are_known(fallible: Fallibles, work: Pass, result: PassResult) -> bool:
    """Whether the driver speaks of what can fail alone, and of that only: some commands, and pages that come
    back from disk."""
    rows = zip(result.fault_rows[::2], result.fault_rows[1::2], strict=False)
    count = len(work.swap_ins) // 2
    return len(result.fault_rows) == 2 * len(result.fault_texts) and all(
        0 <= row < count if kind == FaultKind.SWAP_IN else (kind, row) in fallible for kind, row in rows
    )


def find_lost(work: Pass, result: PassResult) -> Iterator[tuple[PhysicalPage, str]]:
    """Pages that did not come back from disk, and how they were lost."""
    for kind, row, message in result.faults():
        if kind == FaultKind.SWAP_IN:
            yield PhysicalPage(work.swap_ins[2 * row + 1]), f"while its program was suspended ({message})"


def find_refusals(fallible: Fallibles, result: PassResult) -> dict[CommandQueue, Refusal]:
    """The first failure of each queue in a pass."""
    refused: dict[CommandQueue, Refusal] = {}
    for kind, row, message in result.faults():
        if kind == FaultKind.SWAP_IN:
            continue
        queue, lease, *before = fallible[kind, row]
        if queue not in refused or tuple(before) < refused[queue][1:]:
            refused[queue] = Refusal(InvalidArgument(f"{lease.noun} {lease.name}: {message}"), *before)
    return refused
