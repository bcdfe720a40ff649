"""The file of a record: what entered a control layer, and what it decided.

A magic line, then blocks: length and CRC-32 of what follows (both little-endian, 32 bits), then, compressed
(zlib), a msgpack array of arrays `[kind, ...]`, as in `Kind`. A block holds some 64 KiB, or what came in a
second. The first array of the first block is the header. Written without waiting for the disk; a process that
is killed loses the last block.
"""

import logging
import zlib
from collections.abc import Iterator, Mapping
from enum import IntEnum
from pathlib import Path
from struct import Struct
from typing import Any, BinaryIO

import msgspec

from pie.core.errors import InvalidArgument, PieError

MAGIC = b"PIE RECORD 1\n"
PREFIX = Struct("<II")
ARRAY = Struct(">BI")
"""How msgpack begins an array of any length."""
BLOCK_BYTES = 64 << 10
LARGEST_BLOCK = 64 << 20
"""Of a file that is not damaged, compressed or not."""

Event = list[Any]


class Kind(IntEnum):
    """What an array says, and what follows. Stimuli have the microseconds since the one before first;
    sessions, models, timers and runs of decoding are numbers, in the order of their making."""

    HEADER = 0
    """Version of Pie, settings, names of commands, names of a pass's columns."""
    END = 1
    """Nothing more was recorded; whether because the file was full."""
    MODEL = 2
    """Model info, driver spec."""
    OPEN = 3
    """Limits, tenant, session of the parent or None."""
    QUEUE = 4
    """Session, model."""
    PRIORITY = 5
    """Session, queue, priority."""
    SUBMIT = 6
    """Session, queue, command's index and fields, whether somebody waits, whether it was accepted."""
    HINT = 7
    """Session, queue, hint, pages, milliseconds."""
    STOP = 8
    """Session, queue, run."""
    RESET = 9
    """Session, queue."""
    CLOSE = 10
    """Session."""
    EXPORTS = 11
    """Session, model, what was asked, name."""
    ALLOWANCE = 12
    """Session, pages that it may have now."""
    ADOPT = 13
    """Settings."""
    PUMP = 14
    TIMER = 15
    """Timer."""
    DONE = 16
    """Model, pass, seconds, error, whether it has an answer to each question, sampled tokens, rows and texts
    of commands that failed alone."""
    LOST = 17
    """Model."""
    RESTORED = 18
    """Model."""
    RUNNABLE = 19
    """Asked for during a stimulus: how many programs could run."""
    PASS = 20
    """Decided: model, number, and for each column that is not empty its index, length and CRC-32."""
    REFUSED = 21
    """The driver did not take the pass."""
    PRESSURE = 22
    """Session, queue, the number under which it asks to be told (counted with runs)."""
    IGNORE = 23
    """Session, queue, that number."""


INNER = 64
"""Added to the kind of a stimulus that came while control was busy with another."""


class BadRecord(PieError):
    """A file that is no record, or not a whole one."""

    kind = "invalid-argument"


class RecordWriter:
    """Bounded: at `most_bytes` it ends the record. A disk that is full ends it, too; nobody else suffers."""

    def __init__(self, path: Path, most_bytes: int) -> None:
        """Raises `InvalidArgument` for a file that cannot be written."""
        try:
            self._file: BinaryIO | None = path.open("wb")
            self._file.write(MAGIC)
        except OSError as error:
            raise InvalidArgument(f"the record {path} cannot be written: {error.strerror}") from None
        self._path = path
        self._left = most_bytes
        self._encoder = msgspec.msgpack.Encoder(enc_hook=to_plain)
        self._buffer = bytearray()
        self._count = 0

    @property
    def open(self) -> bool:
        return self._file is not None

    def write(self, event: Event) -> None:
        if self._file is None:
            return
        try:
            self._encoder.encode_into(event, self._buffer, -1)
        except Exception as error:  # a bug of ours: it ends the record, and no program
            self._give_up(f"{type(error).__name__}: {error}")
            return
        self._count += 1
        if len(self._buffer) >= BLOCK_BYTES:
            self.flush()

    def flush(self) -> None:
        """What was written so far can be read from now on."""
        file, buffer = self._file, self._buffer
        if file is None or not buffer:
            return
        packed = zlib.compress(ARRAY.pack(0xDD, self._count) + buffer, 1)
        buffer.clear()
        self._count = 0
        self._left -= PREFIX.size + len(packed)
        try:
            file.write(PREFIX.pack(len(packed), zlib.crc32(packed)) + packed)
            file.flush()
        except OSError as error:
            self._give_up(f"{error.strerror}")
        else:
            if self._left < 0:
                self.close(full=True)

    def close(self, full: bool = False) -> None:
        if self._file is None:
            return
        self._left = BLOCK_BYTES
        self.write([Kind.END, full])
        self.flush()
        if full:
            self._give_up("it is as large as it may be (record_mib)")
        elif self._file is not None:
            self._file.close()
            self._file = None

    def _give_up(self, why: str) -> None:
        logging.getLogger(__name__).warning("the record %s ends here: %s", self._path, why)
        if self._file is not None:
            self._file.close()
        self._file = None


def to_plain(value: Any) -> Any:
    """What msgspec does not know: arrays, numpy's numbers, mappings that cannot be changed, ranges."""
    if isinstance(value, Mapping):
        return dict(value)
    return value.tolist() if hasattr(value, "tolist") else list(value)


def read_record(path: Path) -> Iterator[Event]:
    """Its arrays, the header first. Raises `BadRecord` where it is damaged or breaks off."""
    with path.open("rb") as file:
        if file.read(len(MAGIC)) != MAGIC:
            raise BadRecord(f"{path} is no record, or one of another version: pie serve --record makes one")
        ended = False
        while not ended:
            for event in _decode(_read_block(file, path), path):
                ended = event[0] == Kind.END
                yield event


def _read_block(file: BinaryIO, path: Path) -> bytes:
    place = file.tell()
    prefix = file.read(PREFIX.size)
    if len(prefix) < PREFIX.size:
        raise BadRecord(f"{path} breaks off at byte {place}: it was cut, or whoever recorded it was killed")
    size, check = PREFIX.unpack(prefix)
    packed = file.read(min(size, LARGEST_BLOCK))
    if len(packed) < size <= LARGEST_BLOCK:
        raise BadRecord(f"{path} breaks off at byte {place}: it was cut, or whoever recorded it was killed")
    if size > LARGEST_BLOCK or zlib.crc32(packed) != check:
        raise BadRecord(f"{path} is damaged at byte {place}: its checksum is wrong")
    return packed


def _decode(packed: bytes, path: Path) -> list[Event]:
    try:
        unpack = zlib.decompressobj()
        plain = unpack.decompress(packed, LARGEST_BLOCK)
        if unpack.unconsumed_tail:
            raise BadRecord(f"{path} has a block that is larger than any record's")
        events: list[Event] = msgspec.msgpack.decode(plain, type=list[list[Any]])
        return events
    except (zlib.error, msgspec.DecodeError) as error:
        raise BadRecord(f"{path} is damaged: {error}") from None
