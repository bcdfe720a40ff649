"""`print` in a program: lines for its log."""

import io
from collections.abc import Callable

PIECE_CHARACTERS = 8192
"""A line this long is sent before it ends."""


class LogStream(io.TextIOBase):
    """A text stream that hands whole lines to `write_log`."""

    def __init__(self, write_log: Callable[[str], None]) -> None:
        super().__init__()
        self._write_log = write_log
        self._held = ""

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return "utf-8"

    def writable(self) -> bool:
        return True

    def isatty(self) -> bool:
        return False

    def write(self, text: str) -> int:
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        self._held += text
        end = len(self._held) if len(self._held) > PIECE_CHARACTERS else self._held.rfind("\n") + 1
        if end:
            self._send(end)
        return len(text)

    def flush(self) -> None:
        if self._held:
            self._send(len(self._held))

    def _send(self, end: int) -> None:
        piece, self._held = self._held[:end], self._held[end:]
        # A lone surrogate cannot leave the sandbox.
        self._write_log(piece if piece.isascii() else piece.encode("utf-8", "replace").decode())
