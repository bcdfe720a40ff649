"""Messages between the programs of a tenant."""

from inferlet.checks import text, unsigned
from inferlet.futures import DoneFuture, Future, Reading
from inferlet.host import bound
from inferlet.raw.calls import call


def broadcast(topic: str, msg: str) -> Future[None]:
    """Sends to every subscriber of the moment; ready when each of them has room for it."""
    return DoneFuture(call(bound.host.topics.broadcast, text("topic", topic), text("msg", msg)))


def subscribe(topic: str) -> int:
    """A new subscription: what is sent to the topic from now on waits there."""
    return call(bound.host.topics.subscribe, text("topic", topic))


def unsubscribe(subscription: int) -> None:
    """Ends a subscription; what waits there is thrown away."""
    call(bound.host.topics.unsubscribe, unsigned("subscription", subscription))


def next_message(subscription: int) -> Future[str]:
    """The next message of a subscription."""
    future = call(bound.host.topics.next_message, unsigned("subscription", subscription))
    return Reading(future, bound.host.futures.take_text)
