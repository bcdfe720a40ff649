"""The trait *output-text*, call by call."""

import math
from typing import Any

import pytest
from cases import NOBODY, QUEUE, Case, limit, wrong
from puppet import Code, Puppet, Refused

call = pytest.mark.call
GREEDY = [QUEUE, 5, 0, [2, 3], 1, 2, 4, []]
STEP = [QUEUE, 5, 32, [0, 1], 1, 2, 0, 3, 4]
READERS = ("dist-max-index", "dist-entropy", "take-max-index", "take-tokens")


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


def changed(arguments: list[Any], **at: Any) -> list[Any]:
    """With other values at some places: `_3=[9]`."""
    return [at.get(f"_{i}", value) for i, value in enumerate(arguments)]


WRONG = [
    wrong("output-text.get-next-dist", QUEUE, NOBODY, 1, [], kind="unknown-id", says="emb 99"),
    wrong("output-text.get-next-dist", 7, 0, 1, [], kind="unknown-id", says="queue 7"),
    wrong("output-text.get-next-dist", QUEUE, 0, 0, [], says="top_k"),
    wrong("output-text.get-next-dist", QUEUE, 0, 1, [509], says="token 509"),
    limit("output-text.get-next-dist", QUEUE, 0, 510, [], says="top_k"),
    limit("output-text.get-next-dist", QUEUE, 0, 1, Code("[0] * 4097"), says="4096"),
    wrong("output-text.decode-step", *changed(STEP, _0=7), kind="unknown-id", says="queue 7"),
    wrong("output-text.decode-step", *changed(STEP, _1=509), says="token 509"),
    wrong("output-text.decode-step", *changed(STEP, _4=NOBODY), kind="unknown-id", says="emb 99"),
    limit("output-text.decode-step", *changed(STEP, _6=16), says="do not fit"),
    wrong("output-text.decode-greedy", *changed(GREEDY, _0=7), kind="unknown-id", says="queue 7"),
    wrong("output-text.decode-greedy", *changed(GREEDY, _3=[NOBODY]), kind="unknown-id", says="page 99"),
    limit("output-text.decode-greedy", *changed(GREEDY, _6=34), says="do"),
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


@call("output-text.decode-step", "right")
@call("output-text.decode-greedy", "right")
@call("output-text.take-tokens", "right")
@call("output-text.take-max-index", "right")
async def test_a_run_of_steps_gives_what_single_steps_give(puppet: Puppet) -> None:
    run = await puppet.call("output-text.decode-greedy", *GREEDY)
    found = await puppet.call("output-text.take-tokens", run)
    await puppet.call("allocate.dealloc-kvpage", QUEUE, [2, 3])
    await puppet.call("allocate.alloc-kvpage", QUEUE, [2, 3])
    token, singly = 5, []
    for position in range(4):
        dist = await puppet.call("output-text.decode-step", QUEUE, token, position, [2], 1, 2, position, 3, 1)
        token = await puppet.call("output-text.take-max-index", dist)
        singly.append(token)
    assert found == singly


@call("output-text.decode-greedy", "limit")
@call("output-text.decode-step", "limit")
@call("output-text.take-tokens", "limit")
async def test_a_run_ends_with_its_stop_token_and_fits_exactly(puppet: Puppet) -> None:
    whole = await puppet.call(
        "output-text.take-tokens", await puppet.call("output-text.decode-greedy", *changed(GREEDY, _6=32))
    )
    await puppet.call("allocate.dealloc-kvpage", QUEUE, [2, 3])
    await puppet.call("allocate.alloc-kvpage", QUEUE, [2, 3])
    stop = whole[2]
    short = await puppet.call(
        "output-text.take-tokens",
        await puppet.call("output-text.decode-greedy", *changed(GREEDY, _6=32, _7=[stop])),
    )
    assert short == whole[: whole.index(stop) + 1]


@call("output-text.take-max-index", "limit")
@call("output-text.take-max-index", "wrong")
@call("output-text.take-tokens", "wrong")
async def test_taking_takes_once(puppet: Puppet) -> None:
    dist = await puppet.call("output-text.get-next-dist", QUEUE, 0, 1, [])
    with pytest.raises(Refused, match="no tokens"):
        await puppet.call("output-text.take-tokens", dist)
    await puppet.call("output-text.take-max-index", dist)
    with pytest.raises(Refused, match="has been dropped"):
        await puppet.call("output-text.take-max-index", dist)
