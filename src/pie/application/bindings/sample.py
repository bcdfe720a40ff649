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


def decode_ahead(
    guest: Guest, queue: object, spec: object, position: object, pages: object, offset: object, emb: object,
    oemb: object, count: object, stop: object, chunk: object, matcher: object, adapter: object,
) -> NoReturn:
    raise Unavailable("decode-ahead is not built yet")


FUNCTIONS = (alloc_slot, dealloc_slot, sample, embed_slot, read_slots, decode_ahead)
