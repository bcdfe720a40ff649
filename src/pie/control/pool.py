"""Reference-counted physical memory of one kind: pages, or embedding slots."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Generic

from pie.control.leases import P
from pie.core.errors import InternalError, OutOfResources


class Pool(Generic[P]):
    """Every id is free, parked, or held by one or more leases.

    A released id is parked until `settle`, so that a pass under construction never hands it to another
    owner: everything that such a pass does to it belongs to the old one.
    """

    def __init__(self, noun: str, ids: Sequence[P]) -> None:
        """`ids` are the numbers from 0 on, in order."""
        self.noun = noun
        self.total = len(ids)
        self._ids = tuple(ids)
        self.reset()

    def reset(self) -> None:
        """Everything is free, as after a restart of the driver."""
        self.free = list(reversed(self._ids))
        self.parked: list[P] = []
        self.refs = [0] * self.total

    @property
    def held(self) -> int:
        return self.total - len(self.free) - len(self.parked)

    def take(self) -> P:
        """One free id, held once. The caller has asked `lacks` before."""
        taken = self.free.pop()
        self.refs[taken] = 1
        return taken

    def take_many(self, count: int) -> list[P]:
        taken = self.free[-count:]
        del self.free[-count:]
        for place in taken:
            self.refs[place] = 1
        return taken

    def share(self, held: P) -> None:
        self.refs[held] += 1

    def release(self, held: P) -> None:
        left = self.refs[held] - 1
        if left < 0:
            raise InternalError(f"{self.noun} {held} was released more often than it was held")
        self.refs[held] = left
        if left == 0:
            self.parked.append(held)

    def settle(self) -> None:
        """Makes parked ids free: no pass is under construction."""
        if self.parked:
            self.free += self.parked
            self.parked = []

    def lacks(self, count: int) -> bool:
        """Whether a command that needs `count` ids must wait for the next pass.

        Raises `OutOfResources` where waiting would not help.
        """
        if count <= len(self.free):
            return False
        if self.parked:
            return True
        raise OutOfResources(
            f"{count} {self.noun}s are needed, {len(self.free)} of {self.total} are free: free some, run "
            f"fewer programs at once, or set PIE_{self.noun.upper()}S to more than {self.total}"
        )

    def check_integrity(self, held: Iterable[P]) -> None:
        """`held`: where each living lease is. Raises `InternalError` unless everything adds up."""
        expected = Counter(held)
        actual = {place: refs for place, refs in zip(self._ids, self.refs, strict=True) if refs}
        if actual != dict(expected):
            wrong = sorted(place for place in self._ids if actual.get(place, 0) != expected[place])
            raise InternalError(f"{self.noun}s {wrong[:8]} are not held as often as leases say")
        idle = self.free + self.parked
        if len(set(idle)) != len(idle) or not expected.keys().isdisjoint(idle):
            raise InternalError(f"some {self.noun}s are free twice, or free and held")
        if len(idle) + len(expected) != self.total:
            raise InternalError(f"{self.noun}s: free + held is not the total of {self.total}")
