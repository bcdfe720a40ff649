"""A run that the server decodes by itself, ahead of the program."""

from collections.abc import Container, Sequence

from inferlet.raw import TokenRun


class Ahead:
    """A run that began behind the first `start` tokens of a text; its tokens are taken as they come."""

    __slots__ = ("_count", "_stop", "found", "future", "over", "start")

    def __init__(self, future: TokenRun, start: int, count: int, stop: Container[int]) -> None:
        self.future = future
        self.start = start
        self.found: list[int] = []
        self.over = False
        """All its tokens have come."""
        self._count = count
        self._stop = stop

    def add(self, tokens: list[int]) -> None:
        """Notes tokens that have come."""
        self.found += tokens
        if len(self.found) >= self._count or tokens[-1] in self._stop:
            self.over = True
            self.future.end()

    def known(self, tokens: Sequence[int]) -> int:
        """How many tokens of a text the pages hold: those that it has taken. The last one found was sampled,
        but not read."""
        taken = common_prefix(self.found, tokens[self.start :])
        return self.start + max(0, min(taken, len(self.found) - 1))


def common_prefix(left: Sequence[int], right: Sequence[int]) -> int:
    """How many tokens both begin with."""
    for index, (a, b) in enumerate(zip(left, right, strict=False)):
        if a != b:
            return index
    return min(len(left), len(right))
