"""Where pages of suspended programs wait when host memory is full: a file, a place a page.

The file has no name: nobody else can open it, and it is gone with this process, however that ends. Writes are
made by a thread, so that passes do not wait for the disk unless it lags behind by `BACKLOG` pages. A
checksum of each page stays in memory, and what comes back is compared with it: a page that was damaged, or
could not be written at all, is an error of whoever owns it.
"""

import os
import tempfile
import weakref
import zlib
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from threading import BoundedSemaphore

from pie.core.errors import Unavailable

BACKLOG = 64
"""Pages that may wait to be written."""


class PageLost(Exception):
    """What was put there cannot be had any more; the text says why."""


class DiskStorage:
    """Bytes by place. Raises `Unavailable` where no file can be made in `folder` (None: the system's)."""

    def __init__(self, folder: Path | None) -> None:
        try:
            if folder is not None:
                folder.mkdir(parents=True, exist_ok=True)
            self.file = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115 (kept open)
        except OSError as error:
            raise Unavailable(f"no pages can be kept on disk: {error}; choose another --swap-dir") from error
        self._writer = ThreadPoolExecutor(1, "pie-swap")
        self._room = BoundedSemaphore(BACKLOG)
        self._written: dict[int, Future[tuple[int, int]]] = {}
        """Of each place in use: length and checksum, when it has been written."""
        self.close = weakref.finalize(self, close, self._writer, self.file.close)

    def put(self, place: int, size: int, data: bytes) -> None:
        """`data` is kept at `place`; each place takes up to `size` bytes, always the same."""
        self._room.acquire()
        self._written[place] = self._writer.submit(self._write, place * size, data)

    def take(self, place: int, size: int) -> bytes:
        """What was put there. Raises `PageLost`, and `LookupError` where nothing was."""
        written = self._written.pop(place)
        try:
            length, checksum = written.result()
            data = os.pread(self.file.fileno(), length, place * size)
        except OSError as error:
            raise PageLost(f"the disk: {error.strerror or error}") from error
        if len(data) != length or zlib.crc32(data) != checksum:
            raise PageLost("what came back from disk is not what was written")
        return data

    def sync(self) -> None:
        """Waits until everything is written."""
        wait(self._written.values())

    def _write(self, offset: int, data: bytes) -> tuple[int, int]:
        try:
            rest = memoryview(data)
            while rest:
                count = os.pwrite(self.file.fileno(), rest, offset)
                rest, offset = rest[count:], offset + count
            return len(data), zlib.crc32(data)
        finally:
            self._room.release()


def close(writer: ThreadPoolExecutor, close_file: Callable[[], None]) -> None:
    writer.shutdown()
    close_file()
