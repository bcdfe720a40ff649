"""The trait *output-text*, call by call."""

import math
from typing import Any

import pytest
from cases import NOBODY, QUEUE, Case, limit, wrong
from puppet import Code, Puppet, Refused

call = pytest.mark.call
READERS = ("dist-max-index", "dist-entropy", "take-tokens")


def sampling(**changed: Any) -> Code:
    given = {
        "temperature": 1.0,
        "top_p": 1.0,
        "top_k": 0,
        "min_p": 0.0,
        "seed": 1,
        "repetition_penalty": 1.0,
        "presence_penalty": 0.0,
        "frequency_penalty": 0.0,
        "seen": [],
        **changed,
    }
    words = ", ".join(f"{name}={value!r}" for name, value in given.items())
    return Code(f"output_text.Sampling({words})")


WRONG = [
    wrong("output-text.get-next-dist", QUEUE, NOBODY, 1, [], kind="unknown-id", says="emb 99"),
    wrong("output-text.get-next-dist", 7, 0, 1, [], kind="unknown-id", says="queue 7"),
    wrong("output-text.get-next-dist", QUEUE, 0, 0, [], says="top_k"),
    wrong("output-text.get-next-dist", QUEUE, 0, 1, [509], says="token 509"),
    limit("output-text.get-next-dist", QUEUE, 0, 510, [], says="top_k"),
    limit("output-text.get-next-dist", QUEUE, 0, 1, Code("[0] * 4097"), says="4096"),
    *(wrong(f"output-text.{name}", 999, kind="unknown-id", says="future 999") for name in READERS),
    wrong("output-text.dist-top", 999, 1, kind="unknown-id", says="future 999"),
    wrong("output-text.dist-logprob", 999, 1, kind="unknown-id", says="future 999"),
    wrong("output-text.dist-sample", 999, sampling(), kind="unknown-id", says="future 999"),
]


@pytest.mark.parametrize("case", WRONG)
async def test_a_wrong_use_is_refused_with_its_reason(puppet: Puppet, case: Case) -> None:
    await case.check(puppet)


@call("output-text.get-next-dist", "right")
@call("output-text.dist-top", "right")
@call("output-text.dist-top", "limit")
@call("output-text.dist-max-index", "right")
@call("output-text.dist-logprob", "right")
@call("output-text.dist-entropy", "right")
@call("output-text.dist-entropy", "limit")
@call("output-text.get-next-dist", "limit")
async def test_a_distribution_can_be_read_in_every_way(puppet: Puppet) -> None:
    dist = await puppet.made("output-text.get-next-dist", QUEUE, 0, 509, [0, 508])
    tokens, probs = await puppet.call("output-text.dist-top", dist, 2**32 - 1)
    assert (len(tokens), sum(probs)) == (509, pytest.approx(1, abs=1e-3))
    assert list(probs) == sorted(probs, reverse=True)
    assert await puppet.call("output-text.dist-top", dist, 0) == ([], [])
    assert await puppet.call("output-text.dist-max-index", dist) == tokens[0]
    logprob = await puppet.call("output-text.dist-logprob", dist, 508)
    assert logprob == pytest.approx(math.log(probs[tokens.index(508)]), abs=1e-3)
    assert 0 < await puppet.call("output-text.dist-entropy", dist) <= math.log(509) + 1e-3


@call("output-text.dist-max-index", "limit")
@call("output-text.dist-logprob", "wrong")
@call("output-text.dist-logprob", "limit")
@call("output-text.dist-max-index", "wrong")
@call("output-text.dist-entropy", "wrong")
@call("output-text.dist-top", "wrong")
async def test_what_is_no_distribution_or_not_in_it_is_told(puppet: Puppet) -> None:
    dist = await puppet.made("output-text.get-next-dist", QUEUE, 0, 1, [3])
    with pytest.raises(Refused, match="name it in `tokens`"):
        await puppet.call("output-text.dist-logprob", dist, 2**32 - 1)
    assert await puppet.call("output-text.dist-logprob", dist, 3) < 0
    other = await puppet.made("runtime.synchronize", QUEUE)
    for name, *rest in (("dist-max-index",), ("dist-entropy",), ("dist-top", 1), ("dist-logprob", 1)):
        with pytest.raises(Refused, match="is not a distribution"):
            await puppet.call(f"output-text.{name}", other, *rest)


@call("output-text.dist-sample", "right")
@call("output-text.dist-sample", "limit")
async def test_a_seed_draws_one_token_within_the_limits(puppet: Puppet) -> None:
    dist = await puppet.made("output-text.get-next-dist", QUEUE, 0, 256, [])
    tokens, _ = await puppet.call("output-text.dist-top", dist, 256)
    draws = [await puppet.call("output-text.dist-sample", dist, sampling(seed=n)) for n in (1, 1, 2**64 - 1)]
    assert draws[0] == draws[1]
    assert set(draws) <= set(tokens)
    for tight in ({"temperature": 0.0}, {"top_k": 1}, {"top_p": 0.0}, {"min_p": 1.0}):
        assert await puppet.call("output-text.dist-sample", dist, sampling(**tight)) == tokens[0]
    penalised = sampling(temperature=0.0, presence_penalty=100.0, seen=[tokens[0]])
    assert await puppet.call("output-text.dist-sample", dist, penalised) == tokens[1]


@call("output-text.dist-sample", "wrong")
@call("output-text.dist-sample", "limit")
@pytest.mark.parametrize(
    "bad",
    [
        {"temperature": -0.5},
        {"temperature": Code("float('nan')")},
        {"temperature": Code("float('inf')")},
        {"top_p": 1.5},
        {"top_p": -0.1},
        {"min_p": 2.0},
        {"min_p": Code("float('nan')")},
        {"repetition_penalty": 0.0},
        {"repetition_penalty": Code("float('nan')")},
        {"presence_penalty": Code("float('inf')")},
        {"frequency_penalty": Code("float('nan')")},
    ],
    ids=str,
)
async def test_a_sampling_that_makes_no_sense_is_told(puppet: Puppet, bad: dict[str, Any]) -> None:
    dist = await puppet.made("output-text.get-next-dist", QUEUE, 0, 256, [])
    with pytest.raises(Refused, match=next(iter(bad)).partition("_")[0]):
        await puppet.call("output-text.dist-sample", dist, sampling(**bad))


@call("output-text.take-tokens", "right")
@call("output-text.take-tokens", "limit")
@call("output-text.take-tokens", "wrong")
async def test_tokens_are_taken_once_and_only_from_what_has_some(puppet: Puppet) -> None:
    dist = await puppet.call("output-text.get-next-dist", QUEUE, 0, 1, [])
    with pytest.raises(Refused, match="no tokens"):
        await puppet.call("output-text.take-tokens", dist)
    best = await puppet.call("output-text.dist-max-index", await puppet.wait(dist))
    slots = await puppet.call("sample.read-slots", QUEUE, [0, 0])
    assert await puppet.call("output-text.take-tokens", slots) == [best, best]
    with pytest.raises(Refused, match="has been dropped"):
        await puppet.call("output-text.take-tokens", slots)
