"""What the virtual ids of one inferlet on one model stand for."""

from collections import deque
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Generic

from pie.control.leases import Kind, Lease, P, V
from pie.core.errors import InvalidArgument, LimitExceeded, UnknownId
from pie.core.ids import (
    PhysicalEmb,
    PhysicalMatcher,
    PhysicalPage,
    PhysicalSlot,
    VirtualEmb,
    VirtualMatcher,
    VirtualPage,
    VirtualSlot,
)
from pie.core.programs import DEFAULT_TENANT

if TYPE_CHECKING:
    from pie.control.queue import CommandQueue

_LARGEST_ID = 2**32 - 1
_REMEMBERED = 4096


class Meter:
    """How much is held, and its integral over time."""

    def __init__(self) -> None:
        self.held = 0
        self._area = 0.0
        self._since = 0.0

    def change(self, amount: int, now: float) -> None:
        self._area = self.area(now)
        self._since = now
        self.held += amount

    def area(self, now: float) -> float:
        """Held amount times seconds."""
        return self._area + self.held * (now - self._since)


class Allowance:
    """How many names of a kind one program may have, on all models together. `above`: its tenant's."""

    __slots__ = ("above", "most", "remedy", "used", "whose")

    def __init__(
        self,
        most: float,
        whose: str = "this program was launched with",
        remedy: str = "free some first",
        above: "Allowance | None" = None,
    ) -> None:
        self.most = most
        self.whose = whose
        self.remedy = remedy
        self.above = above
        self.used = 0

    @property
    def left(self) -> int:
        mine = int(max(0, min(self.most, _LARGEST_ID) - self.used))
        return mine if self.above is None else min(mine, self.above.left)

    def use(self, count: int) -> None:
        """Gives back where `count` is below 0."""
        self.used += count
        if self.above is not None:
            self.above.use(count)

    def check(self, count: int, noun: str) -> None:
        """Raises `LimitExceeded` where so many more would be too many."""
        if count > self.most - self.used:
            raise LimitExceeded(
                f"{count} more {noun}s would be more than the {self.most:.10g} that {self.whose} ({noun}s); "
                f"{self.used} are used: {self.remedy}"
            )
        if self.above is not None:
            self.above.check(count, noun)


class NameTable(Generic[V, P]):
    """Virtual ids of one kind. Names are given and taken in program order, at the call itself."""

    def __init__(self, noun: str, allocate: str, limit: int, allowance: Allowance | None = None) -> None:
        self.noun = noun
        self._allowance = allowance or Allowance(_LARGEST_ID)
        self.leases: dict[V, Lease[V, P]] = {}
        self.leaving: dict[Lease[V, P], None] = {}
        """Without a name already: their queue has still to reach the command that frees them, or they are
        exported. In order: what is released first is taken again first, and the same stimuli must lead to the
        same passes."""
        self._allocate = allocate
        self._limit = limit
        self._freed: deque[V] = deque(maxlen=_REMEMBERED)
        self.held = Meter()

    def add(self, names: Sequence[V]) -> list[Lease[V, P]]:
        """Raises `InvalidArgument` for a name in use, `LimitExceeded` for too many names."""
        self.check_new(names)
        added: dict[V, Lease[V, P]] = {name: Lease(self.noun, name) for name in names}
        self.leases.update(added)
        self._allowance.use(len(names))
        return list(added.values())

    def check_new(self, names: Sequence[V]) -> None:
        self.check_distinct(names)
        if len(self.leases) + len(names) > self._limit:
            raise LimitExceeded(
                f"{len(names)} more {self.noun}s would be more than the {self._limit} that a program "
                "may have: free some first"
            )
        self.check_allowance(len(names))
        if not self.leases.keys().isdisjoint(names):
            taken = next(name for name in names if name in self.leases)
            raise InvalidArgument(
                f"{self.noun} {taken} is allocated already: free it first or choose another number"
            )
        if names and not 0 <= min(names) <= max(names) <= _LARGEST_ID:
            raise InvalidArgument(f"{self.noun} numbers lie between 0 and {_LARGEST_ID}")

    def check_allowance(self, count: int) -> None:
        self._allowance.check(count, self.noun)

    def count_nameless(self, count: int) -> None:
        """So many more are held without a name (fewer, if below 0)."""
        self._allowance.use(count)

    def check_distinct(self, names: Sequence[V]) -> None:
        if len(names) > 1 and len(set(names)) != len(names):
            twice = next(name for i, name in enumerate(names) if name in names[:i])
            raise InvalidArgument(f"{self.noun} {twice} is named twice in one list: name each once")

    def find(self, names: Sequence[V]) -> list[Lease[V, P]]:
        """Raises `UnknownId`, which names the id and what to do."""
        leases = self.leases
        try:
            return [leases[name] for name in names]
        except KeyError:
            raise self._unknown(names) from None

    def remove(self, names: Sequence[V]) -> list[Lease[V, P]]:
        """Forgets the names; their leases live on until the queue has freed them."""
        self.check_distinct(names)
        found = self.find(names)
        self.leaving.update(dict.fromkeys(found))
        for name in names:
            del self.leases[name]
        self._allowance.use(-len(names))
        self._freed.extend(names)
        return found

    def left(self, leases: Iterable[Lease[V, P]]) -> None:
        """Their queue has freed them."""
        for lease in leases:
            self.leaving.pop(lease, None)
            if lease.origin is not None:
                lease.origin.left(self)

    def living(self) -> list[Lease[V, P]]:
        return [*self.leases.values(), *self.leaving]

    def forget(self) -> None:
        self._allowance.use(-len(self.leases))
        self.leases.clear()
        self.leaving.clear()

    def _unknown(self, names: Sequence[V]) -> UnknownId:
        missing = next(name for name in names if name not in self.leases)
        if missing in self._freed:
            return UnknownId(f"{self.noun} {missing} was freed: {self._allocate} makes a new one")
        return UnknownId(f"{self.noun} {missing} was never allocated: {self._allocate} first")


class AddressSpace:
    """One inferlet's names on one model, and how much memory they hold."""

    def __init__(self, names: int, tenant: str = DEFAULT_TENANT, pages: Allowance | None = None) -> None:
        """`names`: the most pages, and the most of anything else, that may be allocated at once. `tenant`:
        whose exported pages it sees. `pages`: what the program may have on all models together."""
        self.tenant = tenant
        self.queues: list[CommandQueue] = []
        """That work on it and are open."""
        self.number = 0
        """In the order in which programs came: lower is older."""
        self.retained_until = 0.0
        """It has asked for its pages to stay on the device until then."""
        self.suspended = False
        """Its pages are needed by others; its queues sleep until they are back."""
        self.pages: NameTable[VirtualPage, PhysicalPage] = NameTable("page", "alloc_kvpage", names, pages)
        self.embs: NameTable[VirtualEmb, PhysicalEmb] = NameTable("emb", "alloc_emb", names)
        self.slots: NameTable[VirtualSlot, PhysicalSlot] = NameTable("slot", "alloc_slot", names)
        self.matchers: NameTable[VirtualMatcher, PhysicalMatcher] = NameTable("matcher", "new_matcher", names)
        self.tables: dict[Kind, NameTable[Any, Any]] = {
            "pages": self.pages,
            "embs": self.embs,
            "slots": self.slots,
            "matchers": self.matchers,
        }
