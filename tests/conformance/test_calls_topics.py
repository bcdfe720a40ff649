"""The trait *topics*, call by call."""

import pytest
from bench import Bench
from cases import Case, limit, wrong
from puppet import Code, Puppet, Refused

call = pytest.mark.call
WRONG = [
    wrong("topics.broadcast", "", "x", says="topic"),
    limit("topics.broadcast", Code("'t' * 257"), "x", says="257"),
    limit("topics.broadcast", "t", Code("'x' * ((1 << 20) + 1)"), kind="limit-exceeded", says="split it"),
    wrong("topics.subscribe", "", says="topic"),
    limit("topics.subscribe", Code("'t' * 257"), says="257"),
    wrong("topics.unsubscribe", 1, kind="unknown-id", says="subscription 1 does not exist"),
    wrong("topics.next-message", 1, kind="unknown-id", says="subscription 1 does not exist"),
]


@pytest.mark.parametrize("case", WRONG)
async def test_a_wrong_use_is_refused_with_its_reason(puppet: Puppet, case: Case) -> None:
    await case.check(puppet)


@call("topics.broadcast", "right")
@call("topics.subscribe", "right")
@call("topics.next-message", "right")
async def test_subscribers_of_the_tenant_get_messages_in_order(bench: Bench, puppet: Puppet) -> None:
    reader, stranger = await bench.puppet(scene=False), await bench.puppet(scene=False, tenant="others")
    mine, theirs = [await each.call("topics.subscribe", "news") for each in (reader, stranger)]
    await puppet.made("topics.broadcast", "nobody listens", "x")
    for text in ("one", "zwö"):
        await puppet.made("topics.broadcast", "news", text)
    for text in ("one", "zwö"):
        assert await reader.call("futures.take-text", await reader.made("topics.next-message", mine)) == text
    waiting = await stranger.call("topics.next-message", theirs)
    assert await stranger.call("futures.poll", [waiting]) == []


@call("topics.unsubscribe", "right")
@call("topics.unsubscribe", "limit")
@call("topics.next-message", "limit")
async def test_who_unsubscribes_gets_nothing_more(puppet: Puppet) -> None:
    number = await puppet.call("topics.subscribe", "news")
    waiting = await puppet.call("topics.next-message", number)
    await puppet.call("topics.unsubscribe", number)
    with pytest.raises(Refused, match="has ended"):
        await puppet.wait(waiting)
    with pytest.raises(Refused, match="has ended"):
        await puppet.call("topics.unsubscribe", number)


@call("topics.broadcast", "limit")
async def test_a_full_mailbox_pushes_back_and_drops_nothing(bench: Bench, puppet: Puppet) -> None:
    reader = await bench.puppet(scene=False)
    number = await reader.call("topics.subscribe", "news")
    sent = [await puppet.call("topics.broadcast", "news", str(n)) for n in range(66)]
    assert await puppet.call("futures.poll", sent) == sent[:64]
    got = [
        await reader.call("futures.take-text", await reader.made("topics.next-message", number))
        for _ in range(66)
    ]
    assert got == [str(n) for n in range(66)]
    assert await puppet.call("futures.poll", sent) == sent


@call("topics.subscribe", "limit")
async def test_subscriptions_are_bounded(puppet: Puppet) -> None:
    with pytest.raises(Refused, match="unsubscribe first"):
        await puppet.evaluate("[topics.subscribe('t') for _ in range(65)]")
