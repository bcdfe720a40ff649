"""`inferlet.store` and `inferlet.topics` on the fake."""

import asyncio

import pytest

from inferlet import raw, store
from inferlet.errors import UnknownId
from inferlet.runner import run_in_loop
from inferlet.store import Store
from inferlet.testing import FakeHost, Tenant
from inferlet.topics import topic

pytestmark = pytest.mark.usefixtures("host")


def test_values_come_back_as_they_were_set() -> None:
    for value in (None, 0, "text", [1, {"a": "ä"}], True):
        store.set("key", value)
        assert store.get("key", "default") == value


def test_a_missing_key_gives_the_default() -> None:
    assert store.get("missing") is None
    assert store.get("missing", 3) == 3
    assert not store.exists("missing")
    assert not store.delete("missing")


def test_text_that_is_no_json_comes_as_it_is() -> None:
    raw.store_set("key", "plain text")
    assert store.get("key") == "plain text"


def test_a_part_of_the_store_is_a_dictionary() -> None:
    users = Store("users/")
    users["ada"] = {"seen": 1}
    users["bob"] = None
    store.set("other", 1)
    assert dict(users) == {"ada": {"seen": 1}, "bob": None}
    assert ("ada" in users, "eve" in users, 5 in users, len(users)) == (True, False, False, 2)
    assert store.keys() == ["other", "users/ada", "users/bob"]
    assert users.pop("bob") is None
    with pytest.raises(KeyError):
        del users["bob"]
    with pytest.raises(KeyError):
        users["bob"]


def test_programs_of_a_tenant_share_the_store() -> None:
    tenant = Tenant()
    with FakeHost(tenant=tenant):
        store.set("key", "kept")
    with FakeHost(tenant=tenant):
        assert store.get("key") == "kept"
    with FakeHost():
        assert store.get("key") is None


def test_a_topic_carries_values_to_everybody_who_subscribed() -> None:
    async def main() -> list[object]:
        news = topic("news")
        with news.subscribe() as first, news.subscribe() as second:
            await news.publish({"a": 1})
            await news.publish("text")
            return [await first.receive(), await first.receive(), await second.receive()]

    assert run_in_loop(main()) == [{"a": 1}, "text", {"a": 1}]


def test_a_loop_over_a_topic_subscribes_for_as_long_as_it_runs() -> None:
    async def main() -> list[int]:
        heard: list[int] = []

        async def listen() -> None:
            async for number in topic("numbers"):
                heard.append(number)
                if number == 2:
                    return

        listening = asyncio.create_task(listen())
        await asyncio.sleep(0)
        for number in range(3):
            await topic("numbers").publish(number)
        await listening
        return heard

    with FakeHost() as host:
        assert run_in_loop(main()) == [0, 1, 2]
        assert host.tenant.topics["numbers"] == []


def test_a_subscription_that_has_ended_says_so() -> None:
    async def main() -> None:
        subscription = topic("news").subscribe()
        subscription.close()
        subscription.close()
        assert [message async for message in subscription] == []
        await subscription.receive()

    with pytest.raises(UnknownId):
        run_in_loop(main())
