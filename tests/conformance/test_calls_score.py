"""The traits *score* and *introspect*, call by call."""

import pytest
from cases import MANY, NOBODY, QUEUE, Case, limit, wrong
from puppet import Code, Puppet, Refused

call = pytest.mark.call
WRONG = [
    wrong("score.logprobs", QUEUE, [0], [1, 2], says="1 embs and 2 targets"),
    wrong("score.logprobs", QUEUE, [NOBODY], [1], kind="unknown-id", says="emb 99"),
    wrong("score.logprobs", 7, [0], [1], kind="unknown-id", says="queue 7"),
    limit("score.logprobs", QUEUE, [0], [509], says="token 509"),
    limit("score.logprobs", QUEUE, Code("[0] * 4097"), Code("[0] * 4097"), says="at most 4096"),
    wrong("score.take-logprobs", 999, kind="unknown-id", says="future 999"),
    wrong("introspect.attention-stats", QUEUE, [0], [], says="0 inputs"),
    wrong("introspect.attention-stats", QUEUE, [NOBODY], [0], kind="unknown-id", says="page 99"),
    wrong("introspect.attention-stats", QUEUE, [0], [NOBODY], kind="unknown-id", says="emb 99"),
    wrong("introspect.attention-stats", 7, [0], [0], kind="unknown-id", says="queue 7"),
    limit("introspect.attention-stats", QUEUE, [0], Code(f"[0] * ({MANY} + 1)"), says=f"give 1 to {MANY}"),
    limit("introspect.attention-stats", QUEUE, Code(f"[0] * ({MANY} + 1)"), [0], says=f"at most {MANY}"),
    wrong("introspect.take-stats", 999, kind="unknown-id", says="future 999"),
]


@pytest.mark.parametrize("case", WRONG)
async def test_a_wrong_use_is_refused_with_its_reason(puppet: Puppet, case: Case) -> None:
    await case.check(puppet)


@call("score.logprobs", "right")
@call("score.take-logprobs", "right")
@call("score.logprobs", "limit")
async def test_scores_are_the_distributions_own(puppet: Puppet) -> None:
    dist = await puppet.made("output-text.get-next-dist", QUEUE, 0, 1, [0, 508])
    expected = [await puppet.call("output-text.dist-logprob", dist, token) for token in (0, 508)]
    future = await puppet.call("score.logprobs", QUEUE, [0, 0], [0, 508])
    assert await puppet.call("score.take-logprobs", future) == pytest.approx(expected, abs=1e-5)
    empty = await puppet.call("score.logprobs", QUEUE, [], [])
    assert await puppet.call("score.take-logprobs", empty) == []


@call("score.take-logprobs", "wrong")
@call("score.take-logprobs", "limit")
@call("introspect.take-stats", "wrong")
@call("introspect.take-stats", "limit")
async def test_taking_takes_once_and_only_what_it_is(puppet: Puppet) -> None:
    other = await puppet.made("runtime.synchronize", QUEUE)
    future = await puppet.call("score.logprobs", QUEUE, [0], [3])
    for name in ("score.take-logprobs", "introspect.take-stats"):
        with pytest.raises(Refused, match="it is not of"):
            await puppet.call(name, other)
    await puppet.call("score.take-logprobs", future)
    with pytest.raises(Refused, match="has been dropped"):
        await puppet.call("score.take-logprobs", future)


@call("introspect.attention-stats", "right")
@call("introspect.take-stats", "right")
@call("introspect.attention-stats", "limit")
async def test_attention_is_shared_among_pages_and_inputs(puppet: Puppet) -> None:
    await puppet.call("input-text.embed-txt", QUEUE, [5], [32], [1])
    future = await puppet.call("introspect.attention-stats", QUEUE, [0, 1, 2], [1])
    shares = await puppet.call("introspect.take-stats", future)
    assert (len(shares), sum(shares)) == (4, pytest.approx(1, abs=1e-5))
    assert shares[2] == 0
    alone = await puppet.call("introspect.attention-stats", QUEUE, [], [1])
    assert await puppet.call("introspect.take-stats", alone) == [1]
