"""The tenant's small key-value store: what one program leaves, a later one finds.

    from inferlet import store

    store.set("runs", store.get("runs", 0) + 1)

    users = store.Store("users/")      # a dictionary: its keys are stored with the prefix before them
    users["ada"] = {"seen": 3}

Values are what JSON can carry. The store is shared by all programs of the tenant, and the last to write wins.
"""

import json
from collections.abc import Iterator, MutableMapping
from typing import Any

from inferlet import raw

__all__ = ["Store", "delete", "exists", "get", "keys", "set"]


def get(key: str, default: Any = None) -> Any:
    """The value of a key, or `default`."""
    text = raw.store_get(key)
    return default if text is None else _read(text)


def set(key: str, value: Any) -> None:
    """Writes a value; it is on the disk (where the server has one for it) when this returns."""
    raw.store_set(key, json.dumps(value, ensure_ascii=False))


def delete(key: str) -> bool:
    """Removes a key; says whether it was there."""
    return raw.store_delete(key)


def exists(key: str) -> bool:
    """Whether a key is there."""
    return raw.store_exists(key)


def keys(prefix: str = "") -> list[str]:
    """The keys that begin with `prefix`, in order."""
    return raw.store_list_keys(prefix)


class Store(MutableMapping[str, Any]):
    """The part of the store whose keys begin with `prefix`, as a dictionary without it."""

    def __init__(self, prefix: str = "") -> None:
        self.prefix = prefix

    def __getitem__(self, key: str) -> Any:
        text = raw.store_get(self.prefix + key)
        if text is None:
            raise KeyError(key)
        return _read(text)

    def __setitem__(self, key: str, value: Any) -> None:
        set(self.prefix + key, value)

    def __delitem__(self, key: str) -> None:
        if not delete(self.prefix + key):
            raise KeyError(key)

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and exists(self.prefix + key)

    def __iter__(self) -> Iterator[str]:
        return iter([key.removeprefix(self.prefix) for key in keys(self.prefix)])

    def __len__(self) -> int:
        return len(keys(self.prefix))

    def __repr__(self) -> str:
        return f"Store({self.prefix!r})"


def _read(text: str) -> Any:
    """What other languages' programs wrote may be plain text."""
    try:
        return json.loads(text)
    except ValueError:
        return text
