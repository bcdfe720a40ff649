"""Forwards whose attention is measured."""

from collections.abc import Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Any

from pie.control.batch import Batch, Placer
from pie.control.placing_forward import place_forward
from pie.control.ticket import Entry, Question
from pie.control.work import StatsWork
from pie.core.passes import PassResult


def place_stats(batch: Batch, entry: Entry, work: StatsWork) -> bool:
    columns = batch.columns
    segment, starts = len(columns.input_starts) - 1, columns.read_starts
    first = sum(starts[other + 1] - starts[other] + 1 for other in columns.watched)
    if not place_forward(batch, entry, work.forward):
        return False
    columns.watched.append(segment)
    if work.completion is not None:
        held = [lease.physical is not None for lease in work.forward.reads]
        batch.questions.append(Question(entry.queue, work.completion, partial(read_shares, first, held)))
    return True


def read_shares(first: int, held: Sequence[bool], result: PassResult) -> list[float]:
    """One for each page, 0 for those in which nothing was ever written, and last that of the inputs."""
    shares = iter(result.attention[first : first + sum(held) + 1])
    return [next(shares) if there else 0.0 for there in held] + [next(shares)]


PLACERS: Mapping[type[Any], Placer] = MappingProxyType({StatsWork: place_stats})
