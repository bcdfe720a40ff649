"""Pages published under names: one namespace for each tenant on each model.

An export shares the physical pages with whoever wrote them and whoever imports them, by reference count; a
write by any of them copies first, so that it is a snapshot. Its own leases have no virtual id: those of a
name that lives with its program lie in the program's address space and are freed with it, those of a lasting
one in a space of the tenant. So whatever happens to pages (lost, counted, freed) happens to exports too.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from pie.control.addresses import AddressSpace
from pie.control.leases import Absence, PageLease
from pie.control.memory import Memory
from pie.control.settings import ControlSettings
from pie.core.clock import Clock
from pie.core.commands import Exported, ExportPages
from pie.core.driver import DriverSpec
from pie.core.errors import InternalError, InvalidArgument, LimitExceeded, Unavailable, UnknownId
from pie.core.ids import VirtualPage

_REMEMBERED = 1024
"""Names of a tenant whose pages were lost, to say so."""


@dataclass(slots=True, eq=False)
class Export:
    """A name, from the call that reserves it on. Without `leases` its queue has still to reach it."""

    name: str
    home: "TenantExports"
    space: AddressSpace
    """Of its leases."""
    count: int
    """Pages."""
    budgeted: int
    """Bytes of the tenant's budget."""
    about: bytes
    seconds: float | None
    """How long it lasts; None: with the program."""
    leases: list[PageLease] = field(default_factory=list)
    expires: float = math.inf
    withdrawn: bool = False
    readers: dict[object, int] = field(default_factory=dict)
    """How many pages each reader has mapped."""

    @property
    def lost(self) -> bool:
        return any(lease.absence is Absence.LOST for lease in self.leases)

    def read_by(self, reader: object) -> None:
        self.readers[reader] = self.readers.get(reader, 0) + 1

    def left(self, reader: object) -> None:
        """A reader gave one of the pages back."""
        self.readers[reader] -= 1
        if not self.readers[reader]:
            del self.readers[reader]


class TenantExports:
    """The names of one tenant on one model."""

    def __init__(
        self, tenant: str, memory: Memory, settings: ControlSettings, spec: DriverSpec, clock: Clock
    ) -> None:
        self.names: dict[str, Export] = {}
        self._tenant = tenant
        self._memory = memory
        self._settings = settings
        self._page_bytes = spec.page_bytes
        self._clock = clock
        self._space = AddressSpace(settings.max_names, tenant)
        self._lost: dict[str, None] = {}
        self._owned: dict[AddressSpace, dict[str, Export]] = {}
        """Names that live with a program."""

    def reserve(self, space: AddressSpace, command: ExportPages) -> Export:
        """The name belongs to this export from now on. Raises `InvalidArgument` and `LimitExceeded`."""
        name, seconds = command.name, command.seconds
        size = len(command.pages) * self._page_bytes
        if 0 < command.max_bytes < size:
            raise LimitExceeded(
                f"export_kvpage: {len(command.pages)} pages are {size} bytes, more than the max_bytes of "
                f"{command.max_bytes}: export fewer"
            )
        self._check_free(name)
        if seconds is None:
            space.pages.check_allowance(len(command.pages))
        budgeted = len(command.about) + (0 if seconds is None else size)
        self._make_room(budgeted)
        home = space if seconds is None else self._lasting()
        export = Export(name, self, home, len(command.pages), budgeted, command.about, seconds)
        self.names[name] = export
        if seconds is None:
            self._owned.setdefault(space, {})[name] = export
            space.pages.count_nameless(export.count)
        self._lost.pop(name, None)
        return export

    def publish(self, export: Export, pages: Sequence[PageLease], now: float) -> None:
        """Its queue has reached it: the pages as they stand. Raises what makes one of them unusable."""
        if export.withdrawn:
            return
        leases: list[PageLease] = [PageLease("exported page", VirtualPage(i)) for i in range(len(pages))]
        for page in pages:
            if page.absence is not Absence.EMPTY:
                raise page.unusable()
        for page, lease in zip(pages, leases, strict=True):
            self._memory.fork_page(export.space, page, lease, now)
        export.space.pages.leaving.update(dict.fromkeys(leases))
        export.leases = leases
        if export.seconds is not None:
            export.expires = now + export.seconds

    def withdraw(self, export: Export) -> None:
        """The name is free; those who imported the pages keep them."""
        if export.withdrawn:
            return
        export.withdrawn = True
        del self.names[export.name]
        if export.seconds is None:
            self._owned[export.space].pop(export.name)
            export.space.pages.count_nameless(-export.count)
        self._memory.free(export.space, "pages", export.leases, self._clock.now())

    def close_space(self, space: AddressSpace) -> None:
        """Names that live with a program go with it."""
        for export in tuple(self._owned.get(space, {}).values()):
            self.withdraw(export)
        self._owned.pop(space, None)

    def unexport(self, name: str) -> None:
        """Raises `UnknownId`."""
        self._sweep((name,))
        if name not in self.names:
            raise self._missing("unexport_kvpage", name)
        self.withdraw(self.names[name])
        self._memory.settle()

    def map(self, space: AddressSpace, name: str, pages: Sequence[VirtualPage]) -> None:
        """New ids for all pages of an export. Raises, and changes nothing then, where that cannot be."""
        self._sweep((name,))
        export = self.names.get(name)
        if export is None:
            raise self._missing("import_kvpage", name)
        if len(pages) != export.count:
            raise InvalidArgument(
                f"import_kvpage: {name!r} has {export.count} pages, {len(pages)} ids were given: "
                "give a new one for each (find_kvpages tells how many)"
            )
        if not export.leases:
            raise UnknownId(
                f"import_kvpage: {name!r} is still being exported: synchronize the queue that exports it"
            )
        now = self._clock.now()
        for source, lease in zip(export.leases, space.pages.add(pages), strict=True):
            lease.origin = export
            export.read_by(space.pages)
            self._memory.fork_page(space, source, lease, now)

    def find(self, name: str) -> Exported | None:
        """None also for one that is still being exported."""
        self._sweep((name,))
        export = self.names.get(name)
        return self._describe(export) if export is not None and export.leases else None

    def list(self) -> list[Exported]:
        """In the order of their making."""
        self._sweep(tuple(self.names))
        return [self._describe(export) for export in self.names.values() if export.leases]

    def expired(self, now: float) -> Iterator[Export]:
        return (export for export in self.names.values() if export.expires <= now)

    def _lasting(self) -> AddressSpace:
        """The tenant's own space; it exists from the first lasting name on."""
        if self._space not in self._memory.spaces:
            self._space.pages.held.change(0, self._clock.now())
            self._memory.spaces[self._space] = None
        return self._space

    def _describe(self, export: Export) -> Exported:
        left = None if export.seconds is None else max(0.0, export.expires - self._clock.now())
        size = export.count * self._page_bytes
        return Exported(export.name, export.count, size, export.about, left, len(export.readers))

    def _check_free(self, name: str) -> None:
        self._sweep((name,))
        if name in self.names:
            raise InvalidArgument(
                f"export_kvpage: the name {name!r} is in use: unexport_kvpage it first or choose another"
            )
        if len(self.names) >= self._settings.max_exports:
            raise LimitExceeded(
                f"export_kvpage: there are {len(self.names)} names already, as many as allowed: "
                "unexport_kvpage some"
            )

    def _make_room(self, size: int) -> None:
        """Expired names go, the oldest first, where the budget needs it. Raises `LimitExceeded`."""
        budget = self._settings.export_bytes
        if self._used() + size > budget:
            self._sweep(tuple(self.names))
        for export in sorted(self.expired(self._clock.now()), key=lambda export: export.expires):
            if self._used() + size <= budget:
                break
            self.withdraw(export)
        if self._used() + size > budget:
            raise LimitExceeded(
                f"export_kvpage: {size} bytes more would exceed the budget of {budget} bytes for lasting "
                f"exports, of which {self._used()} are in use: unexport_kvpage some"
            )

    def _used(self) -> int:
        return sum(export.budgeted for export in self.names.values())

    def _sweep(self, names: Sequence[str]) -> None:
        """Forgets those whose pages were lost with a failed pass or the driver."""
        for name in names:
            export = self.names.get(name)
            if export is not None and export.lost:
                self.withdraw(export)
                self._lost[name] = None
                if len(self._lost) > _REMEMBERED:
                    del self._lost[next(iter(self._lost))]

    def _missing(self, call: str, name: str) -> UnknownId | Unavailable:
        if name in self._lost:
            return Unavailable(
                f"{call}: the pages exported as {name!r} were lost with a failed pass or a restarted driver: "
                "compute and export them again"
            )
        return UnknownId(f"{call}: nothing is exported as {name!r}: exported_kvpages lists what is")


class Exports:
    """All tenants' names on one model."""

    def __init__(self, memory: Memory, settings: ControlSettings, spec: DriverSpec, clock: Clock) -> None:
        self._memory = memory
        self._settings = settings
        self._spec = spec
        self._clock = clock
        self._tenants: dict[str, TenantExports] = {}
        memory.evict = self.evict

    def of(self, tenant: str) -> TenantExports:
        found = self._tenants.get(tenant)
        if found is None:
            found = TenantExports(tenant, self._memory, self._settings, self._spec, self._clock)
            self._tenants[tenant] = found
        return found

    def evict(self, count: int, now: float) -> None:
        """Withdraws expired exports, the oldest first, until `count` pages are free or none would help."""
        expired = [export for tenant in self._tenants.values() for export in tenant.expired(now)]
        for export in sorted(expired, key=lambda export: export.expires):
            gain = self._gain(export)
            if gain:
                export.home.withdraw(export)
                count -= gain
            if count <= 0:
                break

    def check_integrity(self) -> None:
        """Raises `InternalError` unless every export's leases live in its space."""
        for tenant in self._tenants.values():
            for export in tenant.names.values():
                living = export.space.pages.leaving
                if export.withdrawn or not all(lease in living for lease in export.leases):
                    raise InternalError(f"the export {export.name!r} has pages that nobody holds")

    def _gain(self, export: Export) -> int:
        """How many pages nobody else holds."""
        places = [lease.physical for lease in export.leases if lease.physical is not None]
        refs = self._memory.pages.refs
        return sum(refs[place] <= places.count(place) for place in set(places))
