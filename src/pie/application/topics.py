"""Messages between the programs of a tenant: who subscribes to a topic gets what is broadcast on it.

A mailbox that is full pushes back: the broadcast is complete when every subscriber of its moment has had
room, or has gone. What waits for room belongs to the publisher and goes with it. Each mailbox takes messages
in the order of the broadcasts, so the order of each publisher is kept.
"""

from collections import deque
from collections.abc import Callable

from pie.application.futures import Future
from pie.application.line import Line
from pie.core.errors import Cancelled, InvalidArgument, LimitExceeded, UnknownId

MOST_UNREAD = 64
MOST_UNREAD_SIZE = 1 << 20
"""Of one mailbox: messages, and characters together. One message always fits."""
MOST_SUBSCRIPTIONS = 64
MOST_WAITING = 256
"""Futures for messages of one subscription."""
MOST_PENDING = 64
MOST_PENDING_SIZE = 4 << 20
"""Broadcasts of one program that wait for room."""
MOST_NAME = 256

Key = tuple[str, str]
"""Tenant and topic."""


class Delivery:
    """One broadcast, as long as a subscriber has no room for it."""

    __slots__ = ("_done", "future", "places", "text")

    def __init__(self, text: str, done: "Callable[[Delivery], None]") -> None:
        self.text = text
        self.future = Future()
        self.places: dict[Subscription, None] = {}
        """Where it waits for room."""
        self._done = done

    def arrived(self, place: "Subscription") -> None:
        """One subscriber less to wait for: it has it, or it has gone."""
        del self.places[place]
        if not self.places:
            self._done(self)
            self.future.resolve(None)

    def withdraw(self) -> None:
        """Its publisher has ended."""
        for place in list(self.places):
            place.forget(self)
        self.places.clear()


class Subscription:
    """One program's mailbox for one topic."""

    __slots__ = ("_late", "_line", "key")

    def __init__(self, key: Key) -> None:
        self.key = key
        self._line: Line[str] = Line(self._let_in)
        self._late: deque[Delivery] = deque()

    def put(self, delivery: Delivery) -> None:
        if not self._late and self._has_room(delivery.text):
            self._line.post(delivery.text)
        else:
            self._late.append(delivery)
            delivery.places[self] = None

    def next(self) -> Future:
        if len(self._line.waiting) >= MOST_WAITING:
            raise LimitExceeded(f"{MOST_WAITING} futures wait for messages of this subscription already")
        return self._line.receive()

    def forget(self, delivery: Delivery) -> None:
        self._late.remove(delivery)
        self._let_in()

    def close(self) -> None:
        self._line.end(Cancelled(f"the subscription to {self.key[1]!r} has ended"))
        while self._late:
            self._late.popleft().arrived(self)

    def _has_room(self, text: str) -> bool:
        line = self._line
        if not line.messages:
            return True
        return len(line.messages) < MOST_UNREAD and line.size + len(text) <= MOST_UNREAD_SIZE

    def _let_in(self) -> None:
        while self._late and self._has_room(self._late[0].text):
            delivery = self._late.popleft()
            self._line.post(delivery.text)
            delivery.arrived(self)


class Topics:
    """Who subscribes to what, of all tenants."""

    def __init__(self) -> None:
        self._subscribers: dict[Key, dict[Subscription, None]] = {}

    def __len__(self) -> int:
        """Topics with subscribers."""
        return len(self._subscribers)

    def add(self, key: Key) -> Subscription:
        subscription = Subscription(key)
        self._subscribers.setdefault(key, {})[subscription] = None
        return subscription

    def remove(self, subscription: Subscription) -> None:
        """Lets go of everybody who waits for room in it."""
        others = self._subscribers[subscription.key]
        del others[subscription]
        if not others:
            del self._subscribers[subscription.key]
        subscription.close()

    def subscribers(self, key: Key) -> list[Subscription]:
        return list(self._subscribers.get(key, ()))


class Member:
    """What one program has to do with topics."""

    def __init__(self, topics: Topics, tenant: str) -> None:
        self._topics = topics
        self._tenant = tenant
        self._subscriptions: dict[int, Subscription] = {}
        self._last = 0
        self._pending: dict[Delivery, None] = {}
        self._pending_size = 0

    def subscribe(self, topic: str) -> int:
        """The subscription's number, counted from 1."""
        _check_name(topic)
        if len(self._subscriptions) >= MOST_SUBSCRIPTIONS:
            raise LimitExceeded(f"at most {MOST_SUBSCRIPTIONS} subscriptions at a time: unsubscribe first")
        self._last += 1
        self._subscriptions[self._last] = self._topics.add((self._tenant, topic))
        return self._last

    def unsubscribe(self, number: int) -> None:
        self._topics.remove(self._find(number))
        del self._subscriptions[number]

    def next_message(self, number: int) -> Future:
        return self._find(number).next()

    def broadcast(self, topic: str, text: str) -> Future:
        """Completes when every subscriber of this moment has, or had, room for the message."""
        _check_name(topic)
        if len(self._pending) >= MOST_PENDING or self._pending_size + len(text) > MOST_PENDING_SIZE:
            raise LimitExceeded(
                f"{len(self._pending)} broadcasts with {self._pending_size} characters wait for slow "
                "subscribers: await them before sending more"
            )
        delivery = Delivery(text, self._delivered)
        for subscription in self._topics.subscribers((self._tenant, topic)):
            subscription.put(delivery)
        if delivery.places:
            self._pending[delivery] = None
            self._pending_size += len(text)
        else:
            delivery.future.resolve(None)
        return delivery.future

    def close(self) -> None:
        for delivery in self._pending:
            delivery.withdraw()
        self._pending.clear()
        for subscription in self._subscriptions.values():
            self._topics.remove(subscription)
        self._subscriptions.clear()

    def _delivered(self, delivery: Delivery) -> None:
        del self._pending[delivery]
        self._pending_size -= len(delivery.text)

    def _find(self, number: int) -> Subscription:
        try:
            return self._subscriptions[number]
        except KeyError:
            ended = 0 < number <= self._last
            state = "has ended" if ended else "does not exist: subscribe first"
            raise UnknownId(f"subscription {number} {state}") from None


def _check_name(topic: str) -> None:
    if not 0 < len(topic) <= MOST_NAME:
        raise InvalidArgument(f"a topic's name has 1 to {MOST_NAME} characters, not {len(topic)}")
