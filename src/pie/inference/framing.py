"""Messages on a stream of bytes: each after its length, four bytes, little-endian."""

from collections.abc import Iterator
from struct import Struct

HEADER = Struct("<I")


def framed(message: bytes) -> bytes:
    return HEADER.pack(len(message)) + message


class Splitter:
    """Bytes in, as they come; whole messages out."""

    def __init__(self) -> None:
        self._data = bytearray()

    def feed(self, data: "bytes | memoryview") -> None:
        self._data += data

    def messages(self) -> Iterator[bytes]:
        """Those that are complete, each once, even when whoever takes them stops in between."""
        data = self._data
        while len(data) >= HEADER.size:
            end = HEADER.size + HEADER.unpack_from(data)[0]
            if len(data) < end:
                return
            message = bytes(memoryview(data)[HEADER.size : end])
            del data[:end]
            yield message
