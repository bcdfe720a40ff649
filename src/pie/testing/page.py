"""A page of the fake driver."""

from pie.testing.tokens import FakeToken


class FakePage:
    """Tokens by offset, and which offsets may be seen. Sums are kept until something changes."""

    __slots__ = ("_sums", "size", "tokens", "visible")

    def __init__(self, size: int) -> None:
        self.size = size
        self.clear()

    def clear(self) -> None:
        self.tokens: dict[int, FakeToken] = {}
        self.visible = (1 << self.size) - 1
        self._sums: tuple[int, int, int] | None = None

    def write(self, offset: int, token: FakeToken) -> None:
        self.tokens[offset] = token
        self._sums = None

    def show(self, visible: int) -> None:
        self.visible = visible
        self._sums = None

    def copy_from(self, source: "FakePage", src_offset: int, dst_offset: int, length: int) -> None:
        """Written or not, visible or not: all of it. The source is read whole before anything changes."""
        copied = [source.tokens.get(src_offset + i) for i in range(length)]
        bits = source.visible >> src_offset & ((1 << length) - 1)
        for i, token in enumerate(copied):
            self.tokens.pop(dst_offset + i, None)
            if token is not None:
                self.tokens[dst_offset + i] = token
        self.show(self.visible & ~(((1 << length) - 1) << dst_offset) | bits << dst_offset)

    def duplicate(self) -> "FakePage":
        other = FakePage(self.size)
        other.copy_from(self, 0, 0, self.size)
        return other

    def seen(self) -> list[tuple[int, FakeToken]]:
        """Offsets and tokens that can be seen."""
        return [(offset, token) for offset, token in self.tokens.items() if self.visible >> offset & 1]

    def sums(self) -> tuple[int, int, int]:
        """Sum of `key0`, sum of `key1` and the last position, of all that can be seen (-1: nothing can)."""
        if self._sums is None:
            seen = [token for _, token in self.seen()]
            self._sums = (
                sum(token.key0 for token in seen),
                sum(token.key1 for token in seen),
                max((token.position for token in seen), default=-1),
            )
        return self._sums
