"""Makes the objects of a snapshotted interpreter immortal, in the component that holds the snapshot.

Its half inside the guest is `sdk/runner/immortals.py`, which says why. The snapshot lies in the data segments
of a core module within the component (formats: the WebAssembly specification's binary format, and the
component model's `Binary.md`). Only counters are overwritten, so no length changes.
"""

from bisect import bisect_right
from collections.abc import Iterator
from struct import error as StructError
from struct import pack, pack_into, unpack_from
from typing import NamedTuple

from pie.core.errors import InternalError

MARK = pack("<4I", 0x6D6D6920, 0x6174726F, 0x736C6120, 0x74612065)
IMMORTAL = 5 << 28
"""CPython's `_Py_IMMORTAL_INITIAL_REFCNT` where pointers have 32 bits."""
MOST_REFERENCES = 1 << 16
"""Less than any pointer: what is larger is none of our business."""
HEADER = 8
"""Bytes of magic and version."""
CORE_MODULE, COMPONENT, DATA = 1, 4, 11
ACTIVE, PASSIVE, ACTIVE_IN = 0, 1, 2
I32_CONST, END = 0x41, 0x0B


class Segment(NamedTuple):
    """`size` bytes at `offset` of the file that lie at `address` in memory."""

    address: int
    offset: int
    size: int


def make_immortal(wasm: bytearray) -> int:
    """Overwrites the counters; how many. Raises `InternalError` where the file is not what it should be."""
    memories = (Memory(wasm, segments) for segments in modules(wasm, 0, len(wasm)))
    memory = next((each for each in memories if each.mark), None)
    if memory is None:
        raise InternalError("the runner's snapshot has no list of its objects")
    addresses = memory.listed()
    known = frozenset(addresses)
    return sum(_make_one(memory, address, known) for address in addresses)


def _make_one(memory: "Memory", address: int, known: frozenset[int]) -> bool:
    """Whether there is a mortal object at the address; a few are gone since the list was made. (The memory of
    one that is gone may still name its type, but has a pointer or nothing where its counter was.)"""
    counter, type = memory.words(address, 2)
    return 0 < counter < MOST_REFERENCES and type in known and memory.put(address, IMMORTAL)


class Memory:
    """What a module's memory holds at its start."""

    def __init__(self, wasm: bytearray, segments: list[Segment]) -> None:
        self._wasm = wasm
        self._segments = sorted(segments)
        self._starts = [each.address for each in self._segments]
        self._image = bytearray(max((each.address + each.size for each in segments), default=0))
        for address, offset, size in self._segments:
            self._image[address : address + size] = wasm[offset : offset + size]
        self.mark = self._image.find(MARK) + 1
        """0 where it has no list of objects."""

    def listed(self) -> tuple[int, ...]:
        """The addresses in the list of objects."""
        end = self.mark - 1 - 4
        (count,) = self.words(end, 1)
        return self.words(end - 4 * count, count)

    def words(self, address: int, count: int) -> tuple[int, ...]:
        try:
            return unpack_from(f"<{count}I", self._image, address)
        except StructError:
            raise InternalError(f"the runner's snapshot has nothing at {address:#x}") from None

    def put(self, address: int, word: int) -> bool:
        """Whether the file has all bytes of the word; it leaves out zeros."""
        each = self._segments[bisect_right(self._starts, address) - 1]
        if not each.address <= address <= each.address + each.size - 4:
            return False
        pack_into("<I", self._wasm, each.offset + address - each.address, word)
        return True


def modules(wasm: bytearray, start: int, end: int) -> Iterator[list[Segment]]:
    """The data segments of each core module of a component, also of components within it."""
    for kind, at, size in sections(wasm, start, end):
        if kind == CORE_MODULE:
            yield [
                segment
                for part, inner, length in sections(wasm, at, at + size)
                if part == DATA
                for segment in data_segments(wasm, inner, inner + length)
            ]
        elif kind == COMPONENT:
            yield from modules(wasm, at, at + size)


def sections(wasm: bytearray, start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """(kind, offset, size) of each."""
    at = start + HEADER
    while at < end:
        size, inner = unsigned(wasm, at + 1)
        yield wasm[at], inner, size
        at = inner + size


def data_segments(wasm: bytearray, at: int, end: int) -> Iterator[Segment]:
    """Those that are copied to a fixed address."""
    count, at = unsigned(wasm, at)
    for _ in range(count):
        kind, at = unsigned(wasm, at)
        address = None
        if kind == ACTIVE_IN:
            _, at = unsigned(wasm, at)
        if kind != PASSIVE:
            address, at = constant(wasm, at)
        size, at = unsigned(wasm, at)
        if address is not None:
            yield Segment(address, at, size)
        at += size
    if at != end:
        raise InternalError("the data section of the runner is not understood")


def constant(wasm: bytearray, at: int) -> tuple[int, int]:
    """An address: `i32.const`, signed LEB128."""
    if wasm[at] != I32_CONST:
        raise InternalError("a data segment of the runner has no fixed address")
    value, after = unsigned(wasm, at + 1)
    bits = 7 * (after - at - 1)
    if value >> (bits - 1):
        value -= 1 << bits
    if wasm[after] != END:
        raise InternalError("the address of a data segment of the runner is not understood")
    return value & 0xFFFFFFFF, after + 1


def unsigned(wasm: bytearray, at: int) -> tuple[int, int]:
    """LEB128: the number, and where it ends."""
    value = shift = 0
    while True:
        byte = wasm[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, at
