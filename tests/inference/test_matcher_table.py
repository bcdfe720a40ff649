"""Matchers: what they allow, and that one that fails harms nobody."""

from array import array
from collections.abc import Sequence

import numpy as np
import pytest

from pie.core.grammar import GRAMMAR_KINDS, GrammarKind, MatcherOp, MatcherQuestion
from pie.core.passes import FaultKind, Pass, RowFault
from pie.inference.matchers import MatcherTable
from pie.models.grammar import GrammarVocabulary

STOP, OTHER_STOP = 256, 257
SIZE = 260
WORDS = {258: b"true", 259: b"tr"}
LOAD, NEW, FORK, ADVANCE, ROLLBACK = MatcherOp


def vocabulary(step_fuel: int = 100_000) -> GrammarVocabulary:
    tokens = [bytes([i]) for i in range(256)] + [b"", b"", *WORDS.values()]
    special = {STOP: "<end>", OTHER_STOP: "<eot>"}
    return GrammarVocabulary(tokens, special, (STOP, OTHER_STOP), step_fuel=step_fuel)


@pytest.fixture
def table() -> MatcherTable:
    return MatcherTable(vocabulary, SIZE)


Row = tuple[MatcherOp, int, int, Sequence[int]]


def run(table: MatcherTable, *rows: Row, texts: Sequence[str] = ()) -> list[tuple[int, str]]:
    """The faults: row and message."""
    work = Pass(1, grammar_texts=list(texts))
    for what, target, other, tokens in rows:
        work.matcher_ops.extend((what, target, other, len(tokens)))
        work.matcher_data.extend(tokens)
    faults = table.run(work)
    assert all(fault.kind is FaultKind.MATCHER_OP for fault in faults)
    return [(fault.row, fault.message) for fault in faults]


def begin(
    table: MatcherTable, text: str, kind: GrammarKind = "regex", matcher: int = 0, grammar: int = 0
) -> None:
    loading = (LOAD, grammar, GRAMMAR_KINDS.index(kind), ())
    assert not run(table, loading, (NEW, matcher, grammar, ()), texts=[text])


def allowed(table: MatcherTable, matcher: int = 0) -> set[int]:
    bits, failed = table.masks([matcher])
    assert not failed
    return set(np.flatnonzero(np.unpackbits(bits[0], bitorder="little")).tolist())


def ask(table: MatcherTable, matcher: int, question: MatcherQuestion) -> list[int]:
    faults: list[RowFault] = []
    columns = table.answer(Pass(1, matcher_reads=array("i", (matcher, question))), faults)
    answers = list(columns["matcher_answers"])
    assert not faults and list(columns["matcher_answer_starts"]) == [0, len(answers)]
    return answers


def advance(table: MatcherTable, *tokens: int, matcher: int = 0) -> list[tuple[int, str]]:
    return run(table, (ADVANCE, matcher, 0, tokens))


def test_a_mask_allows_the_tokens_that_may_come_next(table: MatcherTable) -> None:
    begin(table, "tr(ue|y)")
    assert allowed(table) == {ord("t"), 258, 259}
    assert not advance(table, 259)
    assert allowed(table) == {ord("u"), ord("y")}


def test_stop_tokens_are_allowed_where_the_text_may_end_and_only_they_where_it_must(
    table: MatcherTable,
) -> None:
    begin(table, "ab?")
    assert not advance(table, ord("a"))
    assert allowed(table) == {ord("b"), STOP, OTHER_STOP}
    assert ask(table, 0, MatcherQuestion.STATE) == [1, 0]
    assert not advance(table, ord("b"))
    assert allowed(table) == {STOP, OTHER_STOP}
    assert ask(table, 0, MatcherQuestion.STATE) == [1, 1]


def test_after_a_stop_token_come_only_stop_tokens_until_it_is_taken_back(table: MatcherTable) -> None:
    begin(table, "a+")
    assert not advance(table, ord("a"), STOP, OTHER_STOP)
    assert allowed(table) == {STOP, OTHER_STOP}
    assert ask(table, 0, MatcherQuestion.STATE) == [1, 1]
    assert advance(table, ord("a"))
    assert not run(table, (ROLLBACK, 0, 2, ()))
    assert allowed(table) == {ord("a"), STOP, OTHER_STOP}


def test_a_token_that_is_not_allowed_is_a_fault_and_the_matcher_stays(table: MatcherTable) -> None:
    begin(table, "abc")
    ((row, message),) = advance(table, ord("a"), ord("x"))
    assert row == 0
    assert f"does not allow token {ord('x')} (index 1" in message
    assert allowed(table) == {ord("a")}


def test_rolling_back_more_than_was_taken_is_a_fault_that_says_how_much_there_is(table: MatcherTable) -> None:
    begin(table, "abc")
    advance(table, ord("a"))
    ((_, message),) = run(table, (ROLLBACK, 0, 2, ()))
    assert message == "2 tokens cannot be taken back: the matcher has taken 1"
    assert not run(table, (ROLLBACK, 0, 1, ()))
    assert allowed(table) == {ord("a")}


def test_a_fork_goes_its_own_way(table: MatcherTable) -> None:
    begin(table, "a(b|c)d")
    advance(table, ord("a"))
    assert not run(table, (FORK, 1, 0, ()), (ADVANCE, 0, 0, b"b"))
    assert allowed(table, 0) == {ord("d")}
    assert allowed(table, 1) == {ord("b"), ord("c")}
    assert not run(table, (ROLLBACK, 1, 1, ()))
    assert allowed(table, 1) == {ord("a")}


def test_forced_tokens_are_those_that_must_follow_in_any_case(table: MatcherTable) -> None:
    begin(table, "hello (you|me)")
    assert bytes(ask(table, 0, MatcherQuestion.STATE)[2:]) == b"hello "


def test_the_mask_can_be_read_as_bytes(table: MatcherTable) -> None:
    begin(table, "a")
    mask = ask(table, 0, MatcherQuestion.MASK)
    assert len(mask) == -(-SIZE // 8)
    assert mask[ord("a") // 8] == 1 << ord("a") % 8 and sum(map(int.bit_count, mask)) == 1


def test_masks_of_many_matchers_are_made_together_also_of_the_same_one_twice(table: MatcherTable) -> None:
    begin(table, "[ab]c")
    run(table, *((FORK, i, 0, ()) for i in range(1, 8)), (ADVANCE, 3, 0, b"a"))
    bits, failed = table.masks([0, 3, 0, 5])
    rows = [set(np.flatnonzero(np.unpackbits(row, bitorder="little")).tolist()) for row in bits]
    ab = {ord("a"), ord("b")}
    assert rows == [ab, {ord("c")}, ab, ab] and not failed


def test_a_bad_grammar_fails_those_who_use_it_and_nobody_else(table: MatcherTable) -> None:
    faults = run(
        table,
        (LOAD, 0, 1, ()),
        (LOAD, 1, 1, ()),
        (NEW, 0, 0, ()),
        (NEW, 1, 1, ()),
        (ADVANCE, 0, 0, b"a"),
        (FORK, 2, 0, ()),
        texts=["a(", "ab"],
    )
    assert [row for row, _ in faults] == [2, 4, 5]
    assert "unclosed group" in faults[0][1]
    bits, failed = table.masks([0, 1])
    assert failed == {0: "the matcher could not be made"}
    assert bits[0].all() and allowed(table, 1) == {ord("a")}


def test_a_matcher_out_of_fuel_is_lost_alone() -> None:
    table = MatcherTable(lambda: vocabulary(step_fuel=300), SIZE)
    begin(table, "(.*[ab].{100}){3}", matcher=0)
    begin(table, "a+", matcher=1, grammar=1)
    for _ in range(300):
        _, failed = table.masks([0, 1])
        if failed:
            break
        assert not table.take(0, ord("a")) and not table.take(1, ord("a"))
    assert list(failed) == [0] and "too involved" in failed[0]
    assert table.masks([0, 1])[1] == failed
    assert "too involved" in advance(table, ord("a"), matcher=0)[0][1]
    assert "too involved" in table.take(0, ord("a"))
    assert STOP in allowed(table, 1)


def test_a_dropped_matcher_is_gone(table: MatcherTable) -> None:
    begin(table, "a")
    table.run(Pass(1, matcher_drops=array("i", (0,))))
    assert len(table) == 0 and table.masks([0])[1] == {0: "the matcher could not be made"}


def test_special_tokens_stand_in_lark_grammars(table: MatcherTable) -> None:
    begin(table, 'start: "a" <end> "b"', "lark")
    assert not advance(table, ord("a"))
    assert allowed(table) == {STOP}
    assert not table.take(0, STOP)
    assert allowed(table) == {ord("b")}
