"""Exact log-probabilities of given tokens."""

from collections.abc import Mapping
from functools import partial
from types import MappingProxyType
from typing import Any

from pie.control.batch import Batch, Placer
from pie.control.placing_forward import find_state
from pie.control.ticket import Entry, Question
from pie.control.work import ScoreWork
from pie.core.passes import PassResult


def place_score(batch: Batch, entry: Entry, work: ScoreWork) -> bool:
    rows, columns = len(work.embs), batch.columns
    states = [state for emb in work.embs if (state := find_state(batch, emb, rows)) is not None]
    if len(states) != rows:
        return False
    first = len(columns.score_slots)
    columns.score_slots += states
    columns.score_targets += work.targets
    for state in states:
        batch.touched.score(state)
    if work.completion is not None:
        read = partial(read_logprobs, first, first + rows)
        batch.questions.append(Question(entry.queue, work.completion, read))
    entry.dists += rows
    return True


def read_logprobs(first: int, last: int, result: PassResult) -> list[float]:
    return result.score_logprobs[first:last].tolist()


PLACERS: Mapping[type[Any], Placer] = MappingProxyType({ScoreWork: place_score})
