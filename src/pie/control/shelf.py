"""Which grammars the driver has compiled, and where it keeps them."""

from collections import OrderedDict


class GrammarShelf:
    """`places`: how many it can keep. What was used longest ago makes room."""

    def __init__(self, places: int) -> None:
        self._places = places
        self._there: OrderedDict[str, int] = OrderedDict()

    def find(self, digest: str) -> int | None:
        """Where a grammar is, if it is there."""
        place = self._there.get(digest)
        if place is not None:
            self._there.move_to_end(digest)
        return place

    def put(self, digest: str) -> int:
        """The place that a grammar shall be loaded into."""
        place = len(self._there)
        if place >= self._places:
            _, place = self._there.popitem(last=False)
        self._there[digest] = place
        return place

    def clear(self) -> None:
        """Nobody knows what the driver has."""
        self._there.clear()
