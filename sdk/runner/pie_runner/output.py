"""`print` and everything else that writes to the standard streams: lines for the program's log."""

import io
from collections.abc import Callable

MOST_BUFFERED = 8192


class LogStream(io.TextIOBase):
    """Hands on whole lines, or pieces of a long one; the rest at `flush`."""

    encoding = "utf-8"
    errors = "backslashreplace"

    def __init__(self, log: Callable[[str], None]) -> None:
        self._log = log
        self._pieces: list[str] = []
        self._size = 0

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        self._pieces.append(text)
        self._size += len(text)
        if "\n" in text or self._size > MOST_BUFFERED:
            self.flush()
        return len(text)

    def flush(self) -> None:
        if self._size:
            text = "".join(self._pieces)
            self._pieces.clear()
            self._size = 0
            self._log(text.encode("utf-8", "backslashreplace").decode())
