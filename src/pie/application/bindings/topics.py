"""`pie:inferlet/topics`: not built yet."""

from typing import NoReturn

from pie.application.guest import Guest
from pie.core.errors import Unavailable


def broadcast(guest: Guest, topic: object, msg: object) -> NoReturn:
    raise Unavailable("broadcast is not built yet")


def subscribe(guest: Guest, topic: object) -> NoReturn:
    raise Unavailable("subscribe is not built yet")


def unsubscribe(guest: Guest, subscription: object) -> NoReturn:
    raise Unavailable("unsubscribe is not built yet")


def next_message(guest: Guest, subscription: object) -> NoReturn:
    raise Unavailable("next-message is not built yet")


FUNCTIONS = (broadcast, subscribe, unsubscribe, next_message,)
