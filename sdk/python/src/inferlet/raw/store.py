"""The tenant's small key-value store."""

from inferlet.checks import text
from inferlet.host import bound
from inferlet.raw.calls import call


def store_get(key: str) -> str | None:
    """The value of a key; None if there is none."""
    return call(bound.host.store.store_get, text("key", key))


def store_set(key: str, value: str) -> None:
    """Writes a value; whatever was there before is gone."""
    call(bound.host.store.store_set, text("key", key), text("value", value))


def store_delete(key: str) -> bool:
    """Removes a key; says whether it was there."""
    return call(bound.host.store.store_delete, text("key", key))


def store_exists(key: str) -> bool:
    """Whether a key is there."""
    return call(bound.host.store.store_exists, text("key", key))


def store_list_keys(prefix: str = "") -> list[str]:
    """The keys that begin with `prefix`, in order."""
    return call(bound.host.store.store_list_keys, text("prefix", prefix))
