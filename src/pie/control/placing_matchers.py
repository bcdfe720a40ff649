"""Matchers: their operations, in order, before all that uses one; questions about them after everything."""

from collections.abc import Mapping
from functools import partial
from types import MappingProxyType
from typing import Any

from pie.control.batch import Batch, Placer
from pie.control.leases import MatcherLease
from pie.control.matcher_work import AskMatcherWork, ForkMatchersWork, MoveMatcherWork, NewMatchersWork
from pie.control.matchers import find_matcher
from pie.control.ticket import Entry, Question
from pie.core.errors import OutOfResources
from pie.core.grammar import GRAMMAR_KINDS, Grammar, MatcherOp, MatcherQuestion, MatcherState
from pie.core.passes import FaultKind, PassResult

LOADED_AT_ONCE = 2
"""Grammars that a pass compiles at most: everybody else waits for it."""


def place_new(batch: Batch, entry: Entry, work: NewMatchersWork) -> bool:
    shelf = batch.memory.shelf
    if not batch.spec.grammars:
        raise OutOfResources("the driver keeps no grammars: set PIE_GRAMMARS above 0")
    place = shelf.find(work.grammar.digest)
    if place is None and len(batch.columns.grammar_texts) >= LOADED_AT_ONCE:
        return False
    if not batch.give(batch.memory.matchers, entry.queue.space.matchers, work.matchers):
        return False
    if place is None:
        place = _load(batch, work.grammar)
    for lease in work.matchers:
        _operate(batch, entry, lease, MatcherOp.NEW, place)
    return True


def _load(batch: Batch, grammar: Grammar) -> int:
    place = batch.memory.shelf.put(grammar.digest)
    columns = batch.columns
    columns.matcher_ops += (MatcherOp.LOAD, place, GRAMMAR_KINDS.index(grammar.kind), 0)
    columns.grammar_texts.append(grammar.text)
    return place


def place_fork(batch: Batch, entry: Entry, work: ForkMatchersWork) -> bool:
    sources = [find_matcher(lease) for lease in work.src]
    if not batch.touched.matchers_moved.isdisjoint(sources):
        return False
    if not batch.give(batch.memory.matchers, entry.queue.space.matchers, work.dst):
        return False
    for source, lease in zip(sources, work.dst, strict=True):
        _operate(batch, entry, lease, MatcherOp.FORK, source)
    return True


def place_move(batch: Batch, entry: Entry, work: MoveMatcherWork) -> bool:
    if not batch.touched.may_operate(find_matcher(work.matcher)):
        return False
    _operate(batch, entry, work.matcher, work.op, work.count, len(work.tokens))
    batch.columns.matcher_data += work.tokens
    return True


def _operate(
    batch: Batch, entry: Entry, lease: MatcherLease, op: MatcherOp, other: int, length: int = 0
) -> None:
    matcher = find_matcher(lease)
    row = len(batch.columns.matcher_ops) // 4
    batch.may_fail(FaultKind.MATCHER_OP, row, entry.queue, lease)
    batch.columns.matcher_ops += (op, matcher, other, length)
    batch.touched.matchers_changed.add(matcher)


def place_question(batch: Batch, entry: Entry, work: AskMatcherWork) -> bool:
    matcher = find_matcher(work.matcher)
    row = len(batch.columns.matcher_reads) // 2
    batch.may_fail(FaultKind.MATCHER_READ, row, entry.queue, work.matcher)
    batch.columns.matcher_reads += (matcher, work.question)
    batch.touched.matchers_asked.add(matcher)
    if work.completion is not None:
        batch.questions.append(Question(entry.queue, work.completion, partial(READERS[work.question], row)))
    return True


def read_state(row: int, result: PassResult) -> MatcherState:
    starts = result.matcher_answer_starts
    accepting, stopped, *forced = result.matcher_answers[starts[row] : starts[row + 1]]
    return MatcherState(bool(accepting), bool(stopped), forced)


def read_mask(row: int, result: PassResult) -> bytes:
    starts = result.matcher_answer_starts
    return bytes(result.matcher_answers[starts[row] : starts[row + 1]].tolist())


READERS = MappingProxyType({MatcherQuestion.STATE: read_state, MatcherQuestion.MASK: read_mask})
PLACERS: Mapping[type[Any], Placer] = MappingProxyType(
    {
        NewMatchersWork: place_new,
        ForkMatchersWork: place_fork,
        MoveMatcherWork: place_move,
        AskMatcherWork: place_question,
    }
)
