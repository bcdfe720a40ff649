"""Samples into token slots, embeds from them, and scores."""

import math
from collections.abc import Callable, Sequence

import pytest
from hand import OUT, Hand

from pie.application.sampling import sample
from pie.core.commands import Dist, SamplingSpec
from pie.core.ids import Token, VirtualSlot
from pie.core.passes import PassResult
from pie.testing.passes import PassBuilder

TEXT = [40, 80, 120, 7, 66]


def tokens(values: Sequence[int]) -> list[Token]:
    return [Token(value) for value in values]


def slot_names(values: Sequence[int]) -> list[VirtualSlot]:
    """Physical ones, here."""
    return [VirtualSlot(value) for value in values]


SPECS: dict[str, SamplingSpec] = {
    "greedy": SamplingSpec(),
    "temperature": SamplingSpec(temperature=1.0, seed=5),
    "hot": SamplingSpec(temperature=7.5, seed=2**64 - 1),
    "limits": SamplingSpec(temperature=1.3, top_p=0.9, top_k=40, min_p=0.01, seed=77),
    "penalties": SamplingSpec(
        temperature=0.8, repetition_penalty=1.4, presence_penalty=0.5, frequency_penalty=0.3,
        seen=tokens([40, 40, 7, 200, 201, 202]), seed=9,
    ),
    "greedy with penalties": SamplingSpec(frequency_penalty=4.0, seen=tokens([*range(100)] * 2)),
}  # fmt: skip


@pytest.fixture
def states(hand: Hand) -> list[int]:
    """Embedding slots that hold different hidden states, positions 0 to 4."""
    outputs = {i: OUT + i for i in range(5)}
    hand.run(PassBuilder().embed(TEXT, range(5), range(5)).forward(range(5), outputs=outputs))
    return list(outputs.values())


def execute(hand: Hand, builder: PassBuilder) -> PassResult:
    result = hand.executor.execute(builder.build())
    assert result.error == ""
    return result


def guest_samples(hand: Hand, state: int, spec: SamplingSpec) -> int:
    """What sampling from the distribution gives, as a program would do it."""
    top_k = min(256, hand.executor.spec.vocabulary_size)
    result = execute(hand, PassBuilder().dist(state, top_k=top_k))
    dist = Dist(result.top_tokens, result.top_probs, {}, result.entropies[0], result.best_logits[0])
    return sample(dist, spec)


@pytest.mark.parametrize("how", SPECS)
def test_the_driver_draws_what_a_program_draws_from_the_distribution(
    hand: Hand, states: list[int], how: str
) -> None:
    builder = PassBuilder()
    for i, state in enumerate(states):
        builder.sample(state, 10 + i, SPECS[how]._replace(seed=SPECS[how].seed ^ i))
    sampled = list(execute(hand, builder).sampled)
    expected = [
        guest_samples(hand, state, SPECS[how]._replace(seed=SPECS[how].seed ^ i))
        for i, state in enumerate(states)
    ]
    assert sampled == expected


def test_rows_of_all_kinds_share_a_pass(hand: Hand, states: list[int]) -> None:
    builder, expected = PassBuilder(), []
    for i, spec in enumerate(SPECS.values()):
        state = states[i % 5]
        builder.sample(state, i, spec)
        expected.append(guest_samples(hand, state, spec))
    assert list(execute(hand, builder).sampled) == expected


def test_more_samples_than_the_driver_works_on_at_once(hand: Hand, states: list[int]) -> None:
    builder = PassBuilder()
    for i in range(60):
        builder.sample(states[i % 5], i, SamplingSpec(temperature=i % 2 * 1.0, seed=i))
    sampled = execute(hand, builder).sampled
    one_by_one = []
    for i in (0, 1, 33, 59):
        alone = PassBuilder().sample(states[i % 5], i, SamplingSpec(temperature=i % 2 * 1.0, seed=i))
        one_by_one.append(execute(hand, alone).sampled[0])
    assert [sampled[i] for i in (0, 1, 33, 59)] == one_by_one


def test_an_embed_from_a_slot_is_an_embed_of_its_token(hand: Hand, states: list[int]) -> None:
    hand.fill(TEXT, [1])
    token = execute(hand, PassBuilder().sample(states[4], 3, SamplingSpec())).sampled[0]
    expected = hand.peek(token, 5, [1])
    builder = PassBuilder().embed_slot([3], [5], [0]).forward([0], [1], outputs={0: OUT}).dist(OUT)
    assert hand.run(builder)[0] == expected


def after(hand: Hand, token: int, position: int) -> list[int]:
    """The best tokens after a single one."""
    builder = PassBuilder().embed([token], [position], [8]).forward([8], outputs={0: OUT + 10})
    return hand.run(builder.dist(OUT + 10))[0].tokens


def test_embeds_and_penalties_see_slots_as_they_were_before_the_pass(hand: Hand, states: list[int]) -> None:
    first = execute(hand, PassBuilder().sample(states[0], 3, SamplingSpec())).sampled[0]
    spec = SamplingSpec(frequency_penalty=900.0, seen_slots=slot_names([3]))
    builder = PassBuilder().embed_slot([3], [7], [9]).sample(states[0], 3, spec)
    builder.forward([9], outputs={0: OUT + 10}).dist(OUT + 10)
    result = execute(hand, builder)
    assert result.sampled[0] != first
    assert list(result.top_tokens) == after(hand, first, 7)
    again = execute(hand, PassBuilder().sample(states[0], 4, spec))
    assert again.sampled[0] == first, "the slot holds the other token by now"


def test_a_sample_in_the_pass_of_its_forward(hand: Hand) -> None:
    builder = PassBuilder().embed(TEXT, range(5), range(5)).forward(range(5), outputs={4: OUT})
    sampled = execute(hand, builder.sample(OUT, 0, SamplingSpec())).sampled[0]
    assert sampled == execute(hand, PassBuilder().dist(OUT, top_k=1)).top_tokens[0]


def test_scores_are_the_exact_log_probabilities(hand: Hand, states: list[int]) -> None:
    targets = [3, 250, 66, 3, 0]
    builder = PassBuilder()
    for state, target in zip(states, targets, strict=True):
        builder.score(state, target).dist(state, tokens=[target])
    result = execute(hand, builder)
    assert list(result.score_logprobs) == pytest.approx(list(result.chosen_logprobs))
    everything = PassBuilder()
    for token in range(hand.executor.spec.vocabulary_size):
        everything.score(states[0], token)
    total = sum(math.exp(score) for score in execute(hand, everything).score_logprobs)
    assert total == pytest.approx(1.0, abs=1e-4)


STATE = OUT + 2
BEST = SamplingSpec()
BAD: dict[str, tuple[Callable[[PassBuilder], object], str]] = {
    "an empty slot is embedded": (lambda b: b.embed_slot([5], [0], [0]), "token slot 5"),
    "an empty slot is counted": (
        lambda b: b.sample(STATE, 1, SamplingSpec(seen_slots=slot_names([6]))), "token slot 6",
    ),
    "a slot beyond the last": (lambda b: b.sample(STATE, 1 << 20, BEST), "sample_slots"),
    "a matcher beyond the last": (lambda b: b.sample(STATE, 1, BEST, 1 << 20), "sample_matchers"),
    "two samples into one slot": (
        lambda b: b.sample(STATE, 1, BEST).sample(STATE, 1, BEST), "the same slot",
    ),
    "a sample of nothing": (lambda b: b.sample(77, 1, BEST), "nothing was ever written"),
    "a score of nothing": (lambda b: b.score(77, 1), "nothing was ever written"),
    "a target beyond the vocabulary": (lambda b: b.score(STATE, 320), "score_targets"),
    "a token seen beyond the vocabulary": (
        lambda b: b.sample(STATE, 1, SamplingSpec(seen=tokens([320]))), "seen_tokens",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", BAD)
def test_a_bad_pass_is_refused_whole(hand: Hand, states: list[int], what: str) -> None:
    execute(hand, PassBuilder().sample(states[0], 2, SamplingSpec()))
    add, message = BAD[what]
    builder = PassBuilder().sample(states[1], 2, SamplingSpec())
    add(builder)
    assert message in hand.error(builder)
    kept = execute(hand, PassBuilder().embed_slot([2], [5], [0]).forward([0], outputs={0: OUT}).dist(OUT))
    assert kept.error == ""
