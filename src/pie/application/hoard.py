"""Bytes that are kept for programs until they take them, bounded for each program and for all together."""

from pie.core.errors import LimitExceeded, OutOfResources


class Hoard:
    """One program's, with the one of all programs behind it; or that one."""

    def __init__(self, most: int, shared: "Hoard | None" = None) -> None:
        self.held = 0
        self._most = most
        self._shared = shared

    def grow(self, count: int) -> None:
        """Raises where that is too much; then nothing has changed."""
        if self.held + count > self._most:
            raise self._too_much(self.held + count)
        if self._shared is not None:
            self._shared.grow(count)
        self.held += count

    def shrink(self, count: int) -> None:
        self.held -= count
        if self._shared is not None:
            self._shared.shrink(count)

    def _too_much(self, count: int) -> LimitExceeded | OutOfResources:
        if self._shared is None:
            return OutOfResources(f"this server holds {self.held} bytes for its programs already: try later")
        return LimitExceeded(
            f"{count} bytes are on their way from or to this program at once, more than {self._most}: await "
            "what is there first"
        )
