"""Every executor follows grammars, restricts what it answers, and survives what cannot be followed."""

import math

import numpy as np
import pytest
from hand import OUT, Hand

from pie.core.commands import SamplingSpec
from pie.core.grammar import MatcherQuestion
from pie.core.passes import FaultKind, PassResult
from pie.testing.passes import PassBuilder, answers

STATE, MASK = MatcherQuestion
WARM = SamplingSpec(temperature=1.0, seed=7)


def run(hand: Hand, builder: PassBuilder) -> PassResult:
    result = hand.executor.execute(builder.build())
    assert result.error == ""
    return result


def answer(hand: Hand, builder: PassBuilder) -> list[int]:
    """To the only question of a pass."""
    result = run(hand, builder)
    assert not result.fault_texts
    return list(result.matcher_answers)


def allowed(hand: Hand, matcher: int = 0) -> list[int]:
    mask = answer(hand, PassBuilder().ask(matcher, MASK))
    bits = np.unpackbits(np.array(mask, np.uint8), bitorder="little")
    return [int(token) for token in np.flatnonzero(bits)]


def begin(hand: Hand, text: str) -> None:
    """Matcher 0 stands at the beginning of a regular expression, and the model has read something."""
    run(hand, PassBuilder().grammar(0, "regex", text, 0))
    hand.run(PassBuilder().fresh(0).embed([5], [0], [0]).forward([0], outputs={0: OUT}))


def test_a_masked_distribution_holds_the_tokens_of_the_mask_and_adds_up(hand: Hand) -> None:
    begin(hand, "[a-f]")
    tokens, forbidden = allowed(hand), 5
    (found,) = hand.run(PassBuilder().dist(OUT, 64, [*tokens, forbidden], matcher=0))
    assert sorted(found.tokens) == tokens and len(tokens) == 6
    assert sum(found.probs) == pytest.approx(1, abs=1e-5)
    assert found.probs == sorted(found.probs, reverse=True)
    by_token = dict(zip(tokens, found.chosen, strict=False))
    logprobs = [by_token[token] for token in found.tokens]
    assert [math.log(prob) for prob in found.probs] == pytest.approx(logprobs, abs=1e-4)
    assert found.chosen[-1] == -math.inf
    assert found.entropy == pytest.approx(-sum(p * math.log(p) for p in found.probs), abs=1e-4)


def test_a_masked_distribution_keeps_the_ratios_of_the_free_one(hand: Hand) -> None:
    begin(hand, "[a-f]")
    tokens = allowed(hand)
    free, masked = hand.run(PassBuilder().dist(OUT, 1, tokens).dist(OUT, 1, tokens, matcher=0))
    shift = masked.chosen[0] - free.chosen[0]
    assert masked.chosen == pytest.approx([logprob + shift for logprob in free.chosen], abs=1e-4)
    assert len(free.tokens) == 1 and free.tokens != [] and shift > 0


def test_a_sample_with_a_matcher_takes_a_token_of_the_mask_and_moves_on(hand: Hand) -> None:
    begin(hand, "[ab][cd]")
    first = allowed(hand)
    builder = PassBuilder().sample(OUT, 0, WARM, matcher=0).ask(0, MASK)
    result = run(hand, builder)
    assert result.sampled[0] in first
    assert not set(first) & set(allowed(hand))
    second = run(hand, PassBuilder().sample(OUT, 0, WARM, matcher=0)).sampled[0]
    assert second not in first
    assert answer(hand, PassBuilder().ask(0, STATE)) == [1, 1]


def test_after_the_last_token_samples_are_stop_tokens_for_ever(hand: Hand) -> None:
    begin(hand, "a")
    run(hand, PassBuilder().sample(OUT, 0, WARM, matcher=0))
    stops = allowed(hand)
    for _ in range(3):
        assert run(hand, PassBuilder().sample(OUT, 0, WARM, matcher=0)).sampled[0] in stops
    assert allowed(hand) == stops


def test_a_sample_follows_the_masked_distribution(hand: Hand) -> None:
    begin(hand, "[a-f]")
    (found,) = hand.run(PassBuilder().dist(OUT, 64, matcher=0))
    best = run(hand, PassBuilder().sample(OUT, 0, SamplingSpec(), matcher=0)).sampled[0]
    assert best == found.tokens[0]


def test_operations_come_first_and_in_order_and_questions_last(hand: Hand) -> None:
    begin(hand, "[01]{4,9}")
    a, b = allowed(hand)
    builder = PassBuilder().advance(0, a, b).fork_matcher(0, 1).advance(1, b).rollback(0, 1)
    builder.dist(OUT, 9, matcher=0).sample(OUT, 0, WARM, matcher=1).ask(0, STATE).ask(1, STATE)
    work, result = builder.build(), run(hand, builder)
    assert sorted(answers(work, result)[0].tokens) == [a, b]
    assert list(result.matcher_answers) == [0, 0, 1, 0]  # one token, and four
    assert not run(hand, PassBuilder().rollback(0, 1).rollback(1, 4)).fault_texts
    assert (
        run(hand, PassBuilder().rollback(0, 1).rollback(1, 1)).fault_texts
        == ["1 tokens cannot be taken back: the matcher has taken 0"] * 2
    )


def test_one_that_fails_says_which_and_the_others_go_on(hand: Hand) -> None:
    begin(hand, "[a-f]")
    token = allowed(hand)[0]
    builder = PassBuilder().grammar(1, "regex", "(", 1).advance(0, token, token).advance(0, token)
    builder.dist(OUT, 3, matcher=1).dist(OUT, 3).sample(OUT, 0, WARM, matcher=1).sample(OUT, 1, WARM)
    builder.ask(1, STATE).ask(0, STATE)
    work, result = builder.build(), run(hand, builder)
    assert [(fault.kind, fault.row) for fault in result.faults()] == [
        (FaultKind.MATCHER_OP, 1), (FaultKind.MATCHER_OP, 2), (FaultKind.DIST, 0), (FaultKind.SAMPLE, 0),
        (FaultKind.MATCHER_READ, 0),
    ]  # fmt: skip
    assert "unclosed group" in result.fault_texts[0]
    assert answers(work, result)[1].tokens and len(result.sampled) == 2
    assert list(result.matcher_answers) == [1, 1]
    run(hand, PassBuilder().embed_slot([0, 1], [1, 1], [1, 2]))


@pytest.mark.parametrize(
    ("builder", "fault"),
    [
        (PassBuilder().grammar(10_000, "regex", "a"), "matcher_ops: LOAD of 10000"),
        (PassBuilder().grammar(0, "regex", "a", 10_000), "matcher_ops: NEW of 10000"),
        (PassBuilder().advance(0, 1 << 20), "matcher_data: a token is not between"),
        (PassBuilder().fork_matcher(-1, 0), "matcher_ops: FORK of 0 and -1"),
        (PassBuilder().ask(-1, STATE), "matcher_reads: a matcher is not between"),
        (PassBuilder().embed([1], [0], [0]).dist(0, matcher=10_000), "dist_matchers: one is not between"),
    ],
)  # fmt: skip
def test_a_pass_out_of_bounds_is_refused(hand: Hand, builder: PassBuilder, fault: str) -> None:
    assert fault in hand.error(builder)
