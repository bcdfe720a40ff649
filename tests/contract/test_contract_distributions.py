"""Facts about distributions."""

import math

import pytest
from hand import OUT, Hand, close, same

from pie.testing.passes import PassBuilder

TEXT = [40, 80, 120, 7, 66]


@pytest.fixture
def state(hand: Hand) -> int:
    """A slot that holds a hidden state."""
    builder = PassBuilder().embed(TEXT, range(5), range(5)).forward(range(5), outputs={4: OUT})
    hand.run(builder)
    return OUT


def test_all_probabilities_sum_to_one(hand: Hand, state: int) -> None:
    answer = hand.run(PassBuilder().dist(state, top_k=hand.executor.spec.vocabulary_size))[0]
    assert math.isclose(sum(answer.probs), 1.0, abs_tol=1e-4)
    assert sorted(answer.tokens) == list(range(hand.executor.spec.vocabulary_size))


def test_the_best_come_first(hand: Hand, state: int) -> None:
    answer = hand.run(PassBuilder().dist(state, top_k=50))[0]
    assert len(answer.tokens) == 50
    assert answer.probs == sorted(answer.probs, reverse=True)


def test_fewer_best_tokens_are_the_first_of_more(hand: Hand, state: int) -> None:
    builder = PassBuilder().dist(state, top_k=50).dist(state, top_k=1).dist(state, top_k=8)
    many, one, some = hand.run(builder)
    assert one.tokens == many.tokens[:1]
    assert some.tokens == many.tokens[:8]
    assert close(one.probs, many.probs[:1])


def test_the_one_best_token_is_the_first_of_the_best_whatever_the_state(hand: Hand) -> None:
    builder, slots = PassBuilder().embed(range(30, 60), [0] * 30, range(30)), range(30)
    for slot in slots:
        builder.forward([slot], outputs={0: OUT + slot})
    for top_k in (1, 2):
        for slot in slots:
            builder.dist(OUT + slot, top_k)
    found = [answer.tokens[0] for answer in hand.run(builder)]
    assert found[:30] == found[30:]
    assert len(set(found)) > 10


def test_log_probabilities_are_those_of_the_probabilities(hand: Hand, state: int) -> None:
    best = hand.run(PassBuilder().dist(state, top_k=20))[0]
    scored = hand.run(PassBuilder().dist(state, top_k=1, tokens=best.tokens))[0]
    assert close([math.exp(logprob) for logprob in scored.chosen], best.probs)


def test_entropy_is_that_of_the_whole_distribution_whatever_is_asked_for(hand: Hand, state: int) -> None:
    full, one = hand.run(PassBuilder().dist(state, hand.executor.spec.vocabulary_size).dist(state, top_k=1))
    expected = -sum(prob * math.log(prob) for prob in full.probs if prob > 0)
    assert math.isclose(full.entropy, expected, rel_tol=1e-3)
    assert math.isclose(one.entropy, full.entropy, rel_tol=1e-6)


def test_distributions_of_one_pass_are_the_same_as_one_by_one(hand: Hand) -> None:
    alone = [hand.peek(token, 0, []) for token in TEXT]
    builder = PassBuilder().embed(TEXT, [0] * 5, range(5))
    for i in range(5):
        builder.forward([i], outputs={0: OUT + i})
    for i in range(5):
        builder.dist(OUT + i, tokens=[i] * i)
    together = hand.run(builder)
    assert all(same(a, b) for a, b in zip(alone, together, strict=True))
    assert [len(answer.chosen) for answer in together] == [0, 1, 2, 3, 4]


def test_a_slot_may_be_asked_twice(hand: Hand, state: int) -> None:
    assert same(*hand.run(PassBuilder().dist(state).dist(state)))
