"""Counters in a snapshot, in a component made by hand."""

from struct import pack, unpack_from

import pytest

from pie.application.immortals import IMMORTAL, MARK, make_immortal
from pie.core.errors import InternalError

BASE = 4096
TYPE = BASE
OBJECT, FREE, NEXT_FREE, FOREIGN = BASE + 8, BASE + 16, BASE + 24, BASE + 32
WORDS = pack("<10I", 7, TYPE, 3, TYPE, 0, TYPE, BASE + 99_999, TYPE, 5, 1234)
"""A type that is its own, a living object, two whose memory is free, and something that is no object."""


def leb(value: int) -> bytes:
    low, rest = value & 0x7F, value >> 7
    return bytes([low | 0x80]) + leb(rest) if rest else bytes([low])


def signed_leb(value: int) -> bytes:
    """Of a positive number."""
    low, rest = value & 0x7F, value >> 7
    return bytes([low | 0x80]) + signed_leb(rest) if rest or low >= 64 else bytes([low])


def section(kind: int, content: bytes) -> bytes:
    return bytes([kind]) + leb(len(content)) + content


def segment(address: int, content: bytes) -> bytes:
    return b"\x00\x41" + signed_leb(address) + b"\x0b" + leb(len(content)) + content


def component(*segments: bytes) -> bytearray:
    data = section(11, leb(len(segments)) + b"".join(segments))
    module = b"\0asm\1\0\0\0" + section(0, b"\4name") + data
    inner = b"\0asm\x0d\0\1\0" + section(1, module)
    return bytearray(b"\0asm\x0d\0\1\0" + section(0, b"\1x") + section(4, inner))


def listed(*addresses: int) -> bytes:
    return pack(f"<{len(addresses) + 1}I", *addresses, len(addresses)) + MARK


def test_living_objects_become_immortal_and_nothing_else_changes() -> None:
    table = listed(TYPE, OBJECT, FREE, NEXT_FREE, FOREIGN)
    wasm = component(segment(BASE, WORDS), segment(BASE + 400, table))
    before = bytes(wasm)
    assert make_immortal(wasm) == 2
    at = before.find(WORDS)
    assert unpack_from("<4I", wasm, at) == (IMMORTAL, TYPE, IMMORTAL, TYPE)
    wasm[at : at + 16] = before[at : at + 16]
    assert wasm == before


def test_a_counter_that_the_file_leaves_out_is_left_alone() -> None:
    table = listed(TYPE, OBJECT)
    wasm = component(segment(BASE, WORDS[:10]), segment(BASE + 12, WORDS[12:]), segment(BASE + 400, table))
    assert make_immortal(wasm) == 1


def test_a_file_without_the_list_is_refused() -> None:
    with pytest.raises(InternalError, match="no list"):
        make_immortal(component(segment(BASE, WORDS)))


def test_an_address_outside_the_memory_is_refused() -> None:
    with pytest.raises(InternalError, match="nothing at"):
        make_immortal(component(segment(BASE, WORDS), segment(BASE + 400, listed(1 << 30))))
