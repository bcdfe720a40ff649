"""Commands that need no driver, only their turn: one function for each, by the class of its work."""

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any

from pie.control.desk import Desk, Turn
from pie.control.leases import SlotLease
from pie.control.outcomes import Outcome
from pie.control.sampled import Sampled
from pie.control.ticket import Question
from pie.control.work import Bookkeeping, ExportWork, ForkWork, FreeWork, ReadSlotsWork, SyncWork
from pie.core.passes import PassResult

Errand = Callable[[Desk, Turn, Any], None]
"""Raises what must poison the queue."""


def free(desk: Desk, turn: Turn, work: FreeWork) -> None:
    desk.memory.free(turn.queue.space, work.kind, work.leases, turn.now)


def fork(desk: Desk, turn: Turn, work: ForkWork) -> None:
    for src, dst in zip(work.src, work.dst, strict=True):
        desk.memory.fork_page(turn.queue.space, src, dst, turn.now)


def export(desk: Desk, turn: Turn, work: ExportWork) -> None:
    del desk
    work.export.home.publish(work.export, work.pages, turn.now)


def synchronize(desk: Desk, turn: Turn, work: SyncWork) -> None:
    """Answered with the last pass that has commands of the queue."""
    queue, completion = turn.queue, work.completion
    if completion is None:
        return
    question = Question(queue, completion, nothing)
    if turn.joined and turn.batch is not None:
        turn.batch.questions.append(question)
        return
    for ticket in reversed(desk.in_flight):
        if any(entry.queue is queue for entry in ticket.entries):
            ticket.questions.append(question)
            return
    desk.outcomes.append(Outcome(queue, completion, None, None))


def read_slots(desk: Desk, turn: Turn, work: ReadSlotsWork) -> None:
    """Answered with the last pass that samples into one of the slots."""
    if work.completion is None:
        return
    found = [_sampled(desk, lease) for lease in work.slots]
    question = Question(turn.queue, work.completion, partial(_tokens, found))
    unknown = [sampled.number for sampled in found if sampled.token is None]
    if not unknown:
        desk.outcomes.append(Outcome(turn.queue, work.completion, _tokens(found), None))
    elif turn.batch is not None and turn.batch.number in unknown:
        turn.batch.questions.append(question)
    else:
        last = max(unknown)
        ticket = next(ticket for ticket in desk.in_flight if ticket.work.number == last)
        ticket.questions.append(question)


def _sampled(desk: Desk, lease: SlotLease) -> Sampled:
    if lease.physical is None:
        raise lease.unreadable()
    return desk.memory.sampled[lease.physical]


def _tokens(found: list[Sampled], result: PassResult | None = None) -> list[int]:
    del result
    return [sampled.token for sampled in found if sampled.token is not None]


def nothing(result: PassResult) -> None:
    del result


ERRANDS: Mapping[type[Bookkeeping], Errand] = MappingProxyType(
    {
        FreeWork: free,
        ForkWork: fork,
        ExportWork: export,
        SyncWork: synchronize,
        ReadSlotsWork: read_slots,
    }
)
