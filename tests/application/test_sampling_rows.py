"""The driver's draw of many rows is the host's draw of each, to the last bit."""

from array import array

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pie.application.sampling import sample
from pie.core.commands import Dist, SamplingSpec
from pie.sampling import Rows, draw, step_seed, uniform

SPECS = st.builds(
    SamplingSpec,
    temperature=st.one_of(st.just(0.0), st.floats(0.01, 5.0), st.sampled_from([1e-9, 0.5, 1.0, 2.0, 1e9])),
    top_p=st.one_of(st.just(1.0), st.floats(0, 1)),
    top_k=st.integers(0, 300),
    min_p=st.one_of(st.just(0.0), st.floats(0, 1)),
    seed=st.integers(0, 2**64 - 1),
    repetition_penalty=st.one_of(st.just(1.0), st.floats(0.1, 10)),
    presence_penalty=st.one_of(st.just(0.0), st.floats(-5, 5)),
    frequency_penalty=st.one_of(st.just(0.0), st.floats(-5, 5)),
    seen=st.lists(st.integers(0, 400), max_size=30),
)


def make_dist(seed: int, best: int) -> Dist:
    """Of any sharpness, some with probabilities that are 0."""
    dice = np.random.default_rng(seed)
    logits = np.sort(dice.normal(0, dice.choice([0.1, 1, 5, 60]), 2 * best))[::-1].astype(np.float32)
    with np.errstate(under="ignore"):
        probs = np.exp(logits - logits[0]) / np.exp(logits - logits[0]).sum()
    tokens = dice.permutation(400)[:best].astype(np.int32)
    return Dist(
        array("i", tokens.tobytes()), array("f", probs[:best].astype(np.float32).tobytes()), {}, 0.0,
        float(logits[0]),
    )  # fmt: skip


@settings(deadline=None, max_examples=60)
@given(specs=st.lists(SPECS, min_size=1, max_size=40), seed=st.integers(0, 2**32), best=st.integers(1, 256))
def test_rows_do_not_depend_on_their_neighbours(specs: list[SamplingSpec], seed: int, best: int) -> None:
    dists = [make_dist(seed + i, best) for i in range(len(specs))]
    rows = Rows(
        np.array([dist.tokens for dist in dists], np.int32),
        np.array([dist.probs for dist in dists], np.float32),
        np.array([dist.best_logit for dist in dists], np.float32),
        np.array([spec.temperature for spec in specs]),
        np.array([spec.top_p for spec in specs]),
        np.array([spec.top_k for spec in specs], np.int32),
        np.array([spec.min_p for spec in specs]),
        [spec.seed for spec in specs],
        np.array([spec.repetition_penalty for spec in specs]),
        np.array([spec.presence_penalty for spec in specs]),
        np.array([spec.frequency_penalty for spec in specs]),
        [spec.seen for spec in specs],
    )
    together = draw(rows).tolist()
    assert together == [sample(dist, spec) for dist, spec in zip(dists, specs, strict=True)]
    assert all(token in dist.tokens for token, dist in zip(together, dists, strict=True))


@given(spec=SPECS, seed=st.integers(0, 2**32))
def test_neutral_penalties_change_nothing_whatever_was_seen(spec: SamplingSpec, seed: int) -> None:
    neutral = spec._replace(repetition_penalty=1.0, presence_penalty=0.0, frequency_penalty=0.0)
    dist = make_dist(seed, 200)
    assert sample(dist, neutral) == sample(dist, neutral._replace(seen=()))


def test_seeds_of_steps_are_those_of_splitmix64() -> None:
    assert [step_seed(0, position) for position in range(2)] == [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4]
    assert uniform(0) == (0xE220A8397B1DCDAF >> 11) / 2**53
