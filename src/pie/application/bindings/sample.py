"""`pie:inferlet/sample`: not built yet."""

from typing import NoReturn

from pie.application.guest import Guest
from pie.core.errors import Unavailable


def alloc_slot(guest: Guest, queue: object, slots: object) -> NoReturn:
    raise Unavailable("alloc-slot is not built yet")


def dealloc_slot(guest: Guest, queue: object, slots: object) -> NoReturn:
    raise Unavailable("dealloc-slot is not built yet")


def sample(guest: Guest, queue: object, emb: object, spec: object, slot: object, matcher: object) -> NoReturn:
    raise Unavailable("sample is not built yet")


def embed_slot(guest: Guest, queue: object, slots: object, positions: object, embs: object) -> NoReturn:
    raise Unavailable("embed-slot is not built yet")


def read_slots(guest: Guest, queue: object, slots: object) -> NoReturn:
    raise Unavailable("read-slots is not built yet")


FUNCTIONS = (alloc_slot, dealloc_slot, sample, embed_slot, read_slots,)
