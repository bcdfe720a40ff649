"""`pie:inferlet/topics`: messages between the programs of a tenant."""

from pie.application.guest import Guest


def broadcast(guest: Guest, topic: str, msg: str) -> int:
    guest.futures.check_room()
    guest.check_size("a message", len(msg))
    return guest.await_outside(f"broadcast {topic}", guest.topics.broadcast(topic, msg))


def subscribe(guest: Guest, topic: str) -> int:
    return guest.topics.subscribe(topic)


def unsubscribe(guest: Guest, subscription: int) -> None:
    guest.topics.unsubscribe(subscription)


def next_message(guest: Guest, subscription: int) -> int:
    guest.futures.check_room()
    return guest.await_outside("next_message", guest.topics.next_message(subscription))


FUNCTIONS = (broadcast, subscribe, unsubscribe, next_message)
