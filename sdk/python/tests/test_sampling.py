"""Samplers."""

import pytest

from inferlet import Sampler, greedy, temperature, top_k, top_p
from inferlet.errors import InvalidArgument
from inferlet.sampling import mix


def test_temperature_zero_asks_for_the_best_token_only() -> None:
    assert Sampler(temperature=0).kept_tokens == greedy().kept_tokens == 1


def test_top_k_asks_for_no_more_tokens_than_it_draws_from() -> None:
    assert top_k(5, seed=1).kept_tokens == 5
    assert top_p(0.9, seed=1).kept_tokens == temperature(0.7, seed=1).kept_tokens == 256


def test_a_sampler_shows_its_settings() -> None:
    shown = repr(Sampler(0.5, top_p=0.9, seed=3))
    assert shown == (
        "Sampler(temperature=0.5, top_p=0.9, top_k=0, min_p=0.0, seed=3, "
        "repetition_penalty=1.0, presence_penalty=0.0, frequency_penalty=0.0)"
    )


def test_without_a_seed_each_sampler_is_different() -> None:
    assert Sampler().seed != Sampler().seed


def test_each_position_draws_with_its_own_number() -> None:
    numbers = {mix(seed, step) for seed in range(50) for step in range(50)}
    assert len(numbers) == 2500
    assert all(0 <= number < 2**64 for number in numbers)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"temperature": -1}, "temperature must be at least 0"),
        ({"top_p": 0}, "top_p must be above 0"),
        ({"min_p": 2}, "min_p must be from 0 to 1"),
        ({"top_k": -1}, "top_k must be from 0"),
        ({"seed": 2**64}, "seed must be from 0"),
    ],
)
def test_impossible_settings_are_refused(settings: dict[str, float], message: str) -> None:
    with pytest.raises(InvalidArgument, match=message):
        Sampler(**settings)  # type: ignore[arg-type]
