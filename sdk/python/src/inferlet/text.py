"""From tokens to text, piece by piece: whole characters only, and nothing past a stop string."""

import codecs
from collections.abc import Sequence


class TextStream:
    """Takes the bytes of one token after another and hands out the text that is certain.

    Bytes of an unfinished character wait for the rest, and text that may turn out to be the beginning of a
    stop string waits until that is decided. `stopped` is the stop string that was found, or None.
    """

    __slots__ = ("_decoder", "_held", "_stop", "stopped")

    def __init__(self, stop: Sequence[str] = ()) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._held = ""
        self._stop = stop
        self.stopped: str | None = None

    def copy(self) -> "TextStream":
        """One that goes on from the same bytes."""
        other = TextStream(self._stop)
        other._decoder.setstate(self._decoder.getstate())
        other._held, other.stopped = self._held, self.stopped
        return other

    def push(self, data: bytes) -> str:
        """The text that is certain now; it ends before a stop string."""
        text = self._decoder.decode(data)
        return self._until_stop(text) if self._stop else text

    def finish(self) -> str:
        """What was still held back; an unfinished character becomes U+FFFD."""
        if self.stopped is not None:
            return ""
        text = self._held + self._decoder.decode(b"", final=True)
        self._held = ""
        return text

    def _until_stop(self, text: str) -> str:
        text = self._held + text
        found = [(text.find(stop), stop) for stop in self._stop if stop in text]
        if found:
            end, self.stopped = min(found)
            self._held = ""
            return text[:end]
        keep = max(_overlap(text, stop) for stop in self._stop)
        self._held = text[len(text) - keep :]
        return text[: len(text) - keep]


def _overlap(text: str, stop: str) -> int:
    """How many characters at the end of `text` could begin `stop`."""
    for length in range(min(len(text), len(stop) - 1), 0, -1):
        if text.endswith(stop[:length]):
            return length
    return 0
