"""What the inputs of one segment see, by the rules of `core/passes.py`."""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import Protocol

from pie.testing.page import FakePage
from pie.testing.tokens import FakeToken


class Attention(Protocol):
    """Sums over all that input i can see. `keys` are the inputs' own keys of a layer."""

    def seen(self, layer: int, keys: Sequence[int]) -> list[int]: ...


def cached_tokens(page: FakePage, overwritten: set[int]) -> Iterable[tuple[int, FakeToken]]:
    """What a segment can see of a page, without the slots that it writes itself."""
    return ((offset, token) for offset, token in page.seen() if offset not in overwritten)


class ByPosition:
    """An input sees all cached tokens and inputs whose position is not after its own."""

    def __init__(self, pages: Sequence[tuple[FakePage, set[int]]], positions: Sequence[int]) -> None:
        """`pages`: each with the offsets that this segment writes."""
        self._positions = positions
        self._order = sorted(range(len(positions)), key=positions.__getitem__)
        self._sorted = [positions[i] for i in self._order]
        self._early = [0, 0]
        self._late: list[FakeToken] = []
        first = self._sorted[0]
        for page, overwritten in pages:
            sum0, sum1, last = page.sums()
            if last <= first and overwritten.isdisjoint(page.tokens):
                self._early[0] += sum0
                self._early[1] += sum1
            else:
                self._late += (token for _, token in cached_tokens(page, overwritten))

    def seen(self, layer: int, keys: Sequence[int]) -> list[int]:
        sums = [0, *accumulate(keys[i] for i in self._order)]
        early, ordered = self._early[layer], self._sorted
        seen = [early + sums[bisect_right(ordered, position)] for position in self._positions]
        for token in self._late:
            key = (token.key0, token.key1)[layer]
            for i, position in enumerate(self._positions):
                if token.position <= position:
                    seen[i] += key
        return seen


class ByMask:
    """An input sees what its row of runs says, of what is written and visible."""

    def __init__(self, pages: Sequence[tuple[FakePage, set[int]]], rows: Sequence[Sequence[int]]) -> None:
        self._rows = rows
        self._cached: tuple[list[int], list[int]] = ([], [])
        for page, overwritten in pages:
            slots0, slots1 = [0] * page.size, [0] * page.size
            for offset, token in cached_tokens(page, overwritten):
                slots0[offset], slots1[offset] = token.key0, token.key1
            self._cached[0].extend(slots0)
            self._cached[1].extend(slots1)

    def seen(self, layer: int, keys: Sequence[int]) -> list[int]:
        sums = [0, *accumulate([*self._cached[layer], *keys])]
        return [_sum_of_runs(row, sums) for row in self._rows]


def even_shares(pages: Sequence[tuple[FakePage, set[int]]], positions: Sequence[int]) -> list[float]:
    """Of each page, and last of the inputs: mean shares if each input looks at all that it sees alike."""
    shares = [0.0] * (len(pages) + 1)
    for position in positions:
        seen = [sum(token.position <= position for _, token in page.seen()) for page, _ in pages]
        seen.append(sum(other <= position for other in positions))
        for i, count in enumerate(seen):
            shares[i] += count / sum(seen) / len(positions)
    return shares


def _sum_of_runs(row: Sequence[int], sums: Sequence[int]) -> int:
    total, end = 0, 0
    for i, length in enumerate(row):
        start, end = end, end + length
        if i % 2:
            total += sums[end] - sums[start]
    return total
