"""`pie:inferlet/http`: not built yet."""

from typing import NoReturn

from pie.application.guest import Guest
from pie.core.errors import Unavailable


def http_get(guest: Guest, url: object, headers: object) -> NoReturn:
    raise Unavailable("http-get is not built yet")


def http_post(guest: Guest, url: object, headers: object, body: object) -> NoReturn:
    raise Unavailable("http-post is not built yet")


def take_response(guest: Guest, future: object) -> NoReturn:
    raise Unavailable("take-response is not built yet")


FUNCTIONS = (http_get, http_post, take_response,)
