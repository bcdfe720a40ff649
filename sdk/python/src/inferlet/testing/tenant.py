"""What the programs of one tenant share: published pages, topics, the store."""

from collections import deque
from typing import Any, NamedTuple

from inferlet.testing.pages import ErrorKind, HostError, Page
from inferlet.testing.waiting import FakeFutures, Pending


class Published(NamedTuple):
    """Pages under a name. Without a lease they live with their owner."""

    pages: list[Page]
    about: bytes
    lease: float | None
    owner: Any


class Tenant:
    """Give the same one to several runs, and they share it."""

    def __init__(self) -> None:
        self.exports: dict[tuple[str, str], Published] = {}
        """By model and name."""
        self.store: dict[str, str] = {}
        self.topics: dict[str, list[deque[str]]] = {}
        """The mailboxes of the subscribers of each topic."""


class FakeStore:
    """The interface `store`."""

    def __init__(self, tenant: Tenant) -> None:
        self._values = tenant.store

    def store_get(self, key: str) -> str | None:
        return self._values.get(key)

    def store_set(self, key: str, value: str) -> None:
        self._values[key] = value

    def store_delete(self, key: str) -> bool:
        return self._values.pop(key, None) is not None

    def store_exists(self, key: str) -> bool:
        return key in self._values

    def store_list_keys(self, prefix: str) -> list[str]:
        return sorted(key for key in self._values if key.startswith(prefix))


class FakeTopics:
    """The interface `topics`. Mailboxes here are never full."""

    def __init__(self, tenant: Tenant, futures: FakeFutures) -> None:
        self._topics = tenant.topics
        self._futures = futures
        self._mine: dict[int, tuple[str, deque[str]]] = {}

    def broadcast(self, topic: str, msg: str) -> int:
        for box in self._topics.get(topic, ()):
            box.append(msg)
        return self._futures.add(Pending(self._futures.milliseconds))

    def subscribe(self, topic: str) -> int:
        box: deque[str] = deque()
        self._topics.setdefault(topic, []).append(box)
        self._mine[number := len(self._mine) + 1] = topic, box
        return number

    def unsubscribe(self, subscription: int) -> None:
        topic, box = self._find(subscription)
        self._topics[topic] = [other for other in self._topics[topic] if other is not box]
        del self._mine[subscription]

    def next_message(self, subscription: int) -> int:
        return self._futures.add(Pending(None, box=self._find(subscription)[1]))

    def _find(self, subscription: int) -> tuple[str, deque[str]]:
        if subscription not in self._mine:
            raise HostError(ErrorKind.UNKNOWN_ID, f"subscription {subscription} does not exist")
        return self._mine[subscription]
