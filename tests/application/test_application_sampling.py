from collections import Counter
from typing import NamedTuple

import pytest

from pie.application.sampling import sample
from pie.core.commands import Dist
from pie.core.errors import InvalidArgument
from pie.sampling import uniform

DIST = Dist([10, 20, 30, 40], [0.4, 0.3, 0.2, 0.1], {}, 1.0)


class How(NamedTuple):
    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    seed: int = 0
    repetition_penalty: float = 1.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    seen: tuple[int, ...] = ()


def drawn(how: How, count: int = 4000) -> Counter[int]:
    return Counter(sample(DIST, how._replace(seed=seed)) for seed in range(count))


def test_the_same_seed_gives_the_same_token() -> None:
    assert {sample(DIST, How(seed=7)) for _ in range(5)} == {sample(DIST, How(seed=7))}


def test_temperature_zero_is_the_best_token_whatever_the_seed() -> None:
    assert drawn(How(temperature=0.0), 50) == {10: 50}


def test_tokens_come_as_often_as_their_probability_says() -> None:
    counts = drawn(How())
    for token, prob in zip(DIST.tokens, DIST.probs, strict=True):
        assert counts[token] / 4000 == pytest.approx(prob, abs=0.03)


def test_a_low_temperature_sharpens() -> None:
    assert drawn(How(temperature=0.5))[10] / 4000 == pytest.approx(0.16 / 0.30, abs=0.03)


@pytest.mark.parametrize(
    ("how", "kept"),
    [
        (How(top_k=2), {10, 20}),
        (How(top_p=0.5), {10, 20}),
        (How(top_p=0.0), {10}),
        (How(min_p=0.6), {10, 20}),
        (How(min_p=1.0), {10}),
    ],
)
def test_limits_leave_out_the_unlikely(how: How, kept: set[int]) -> None:
    assert set(drawn(how, 400)) == kept


@pytest.mark.parametrize(
    "how",
    [
        How(temperature=-1.0),
        How(temperature=float("nan")),
        How(top_p=2.0),
        How(min_p=-0.1),
        How(repetition_penalty=0.0),
        How(presence_penalty=float("nan")),
        How(frequency_penalty=1e9),
    ],
)
def test_nonsense_is_an_invalid_argument(how: How) -> None:
    with pytest.raises(InvalidArgument):
        sample(DIST, how)


def test_draws_are_spread_over_the_unit_interval() -> None:
    draws = [uniform(seed) for seed in range(2000)]
    assert all(0 <= draw < 1 for draw in draws)
    assert sum(draws) / len(draws) == pytest.approx(0.5, abs=0.03)


@pytest.mark.parametrize(
    ("how", "best"),
    [
        (How(repetition_penalty=1.6, seen=(10, 99)), 20),
        (How(repetition_penalty=0.5, seen=(40,)), 40),
        (How(presence_penalty=0.2, seen=(10,)), 10),
        (How(presence_penalty=0.3, seen=(10, 10)), 20),
        (How(frequency_penalty=0.2, seen=(10,)), 10),
        (How(frequency_penalty=0.2, seen=(10, 10)), 20),
    ],
)
def test_penalties_change_the_logits_of_tokens_seen(how: How, best: int) -> None:
    dist = Dist(DIST.tokens, DIST.probs, {}, 1.0, best_logit=3.0)
    assert sample(dist, how._replace(temperature=0.0)) == best


def test_a_repetition_penalty_divides_logits_above_zero_and_multiplies_those_below() -> None:
    how = How(temperature=0.0, repetition_penalty=1.2, seen=(10,))
    assert [sample(Dist([10, 20], [0.52, 0.48], {}, 1.0, logit), how) for logit in (0.1, 5.0, -5.0)] == [
        10,
        20,
        20,
    ]
