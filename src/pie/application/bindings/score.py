"""`pie:inferlet/score`: not built yet."""

from typing import NoReturn

from pie.application.guest import Guest
from pie.core.errors import Unavailable


def logprobs(guest: Guest, queue: object, embs: object, targets: object) -> NoReturn:
    raise Unavailable("logprobs is not built yet")


def take_logprobs(guest: Guest, future: object) -> NoReturn:
    raise Unavailable("take-logprobs is not built yet")


FUNCTIONS = (logprobs, take_logprobs,)
