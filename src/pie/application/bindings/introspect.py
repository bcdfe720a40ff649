"""`pie:inferlet/introspect`: not built yet."""

from typing import NoReturn

from pie.application.guest import Guest
from pie.core.errors import Unavailable


def attention_stats(guest: Guest, queue: object, ikv: object, iemb: object) -> NoReturn:
    raise Unavailable("attention-stats is not built yet")


def take_stats(guest: Guest, future: object) -> NoReturn:
    raise Unavailable("take-stats is not built yet")


FUNCTIONS = (attention_stats, take_stats,)
