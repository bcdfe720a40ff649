"""`pie:inferlet/store`: not built yet."""

from typing import NoReturn

from pie.application.guest import Guest
from pie.core.errors import Unavailable


def store_get(guest: Guest, key: object) -> NoReturn:
    raise Unavailable("store-get is not built yet")


def store_set(guest: Guest, key: object, value: object) -> NoReturn:
    raise Unavailable("store-set is not built yet")


def store_delete(guest: Guest, key: object) -> NoReturn:
    raise Unavailable("store-delete is not built yet")


def store_exists(guest: Guest, key: object) -> NoReturn:
    raise Unavailable("store-exists is not built yet")


def store_list_keys(guest: Guest, prefix: object) -> NoReturn:
    raise Unavailable("store-list-keys is not built yet")


FUNCTIONS = (store_get, store_set, store_delete, store_exists, store_list_keys,)
