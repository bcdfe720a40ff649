"""`pie:inferlet/spawning`: not built yet."""

from typing import NoReturn

from pie.application.guest import Guest
from pie.core.errors import Unavailable


def spawn(guest: Guest, program: object, args: object, share: object) -> NoReturn:
    raise Unavailable("spawn is not built yet")


def wait_child(guest: Guest, child: object) -> NoReturn:
    raise Unavailable("wait-child is not built yet")


def receive_from_child(guest: Guest, child: object) -> NoReturn:
    raise Unavailable("receive-from-child is not built yet")


def receive_blob_from_child(guest: Guest, child: object) -> NoReturn:
    raise Unavailable("receive-blob-from-child is not built yet")


def send_blob_to_child(guest: Guest, child: object, msg: object) -> NoReturn:
    raise Unavailable("send-blob-to-child is not built yet")


def send_to_child(guest: Guest, child: object, msg: object) -> NoReturn:
    raise Unavailable("send-to-child is not built yet")


def cancel_child(guest: Guest, child: object) -> NoReturn:
    raise Unavailable("cancel-child is not built yet")


FUNCTIONS = (
    spawn, wait_child, receive_from_child, receive_blob_from_child, send_to_child, send_blob_to_child, cancel_child
)
