"""The trait *store*, call by call."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from bench import Bench
from cases import Case, limit, wrong
from puppet import Code, Puppet

call = pytest.mark.call
WRONG = [
    wrong("store.store-set", "", "x", says="key"),
    limit("store.store-set", Code("'k' * 100000"), "x", says="key"),
    limit("store.store-set", "k", Code("'x' * ((1 << 20) + 1)"), kind="limit-exceeded", says="split it"),
]


@pytest.mark.parametrize("case", WRONG)
async def test_a_wrong_use_is_refused_with_its_reason(puppet: Puppet, case: Case) -> None:
    await case.check(puppet)


@pytest_asyncio.fixture(loop_scope="package")
async def keeper(bench: Bench) -> AsyncIterator[Puppet]:
    puppet = await bench.puppet(scene=False)
    yield puppet
    for key in await puppet.call("store.store-list-keys", ""):
        await puppet.call("store.store-delete", key)


@call("store.store-get", "right")
@call("store.store-set", "right")
@call("store.store-delete", "right")
@call("store.store-exists", "right")
@call("store.store-list-keys", "right")
async def test_what_is_set_is_there_for_the_tenant_until_it_is_deleted(bench: Bench, keeper: Puppet) -> None:
    assert await keeper.call("store.store-get", "a") is None
    assert await keeper.call("store.store-exists", "a") is False
    for key, value in (("b/2", "two"), ("a", "öne"), ("b/1", ""), ("a", "one")):
        await keeper.call("store.store-set", key, value)
    other = await bench.puppet(scene=False)
    assert await other.call("store.store-get", "a") == "one"
    assert await other.call("store.store-get", "b/1") == ""
    assert await other.call("store.store-list-keys", "b/") == ["b/1", "b/2"]
    assert await other.call("store.store-delete", "a") is True
    assert await keeper.call("store.store-delete", "a") is False
    stranger = await bench.puppet(tenant="others", scene=False)
    assert await stranger.call("store.store-list-keys", "") == []


@call("store.store-get", "wrong")
@call("store.store-delete", "wrong")
@call("store.store-exists", "wrong")
@call("store.store-delete", "limit")
@call("store.store-exists", "limit")
@pytest.mark.parametrize("key", ["", Code("'k' * 100000")], ids=["empty", "long"])
async def test_a_key_that_cannot_be_is_not_there(keeper: Puppet, key: str) -> None:
    assert await keeper.call("store.store-get", key) is None
    assert await keeper.call("store.store-exists", key) is False
    assert await keeper.call("store.store-delete", key) is False
    assert await keeper.call("store.store-list-keys", Code(f"'x' + {key!r}")) == []


@call("store.store-set", "limit")
@call("store.store-get", "limit")
@call("store.store-list-keys", "limit")
@call("store.store-list-keys", "wrong")
async def test_odd_keys_and_long_values_are_kept_as_they_are(keeper: Puppet) -> None:
    for key in ("%", "a_b", "ключ", "'; DROP TABLE store; --"):
        await keeper.call("store.store-set", key, Code("'x' * (1 << 19)"))
        assert await keeper.evaluate(f"len(store.store_get({key!r}))") == 1 << 19
    assert await keeper.call("store.store-list-keys", "%") == ["%"]
    assert await keeper.call("store.store-list-keys", "a%") == []
