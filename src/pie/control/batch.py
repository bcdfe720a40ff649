"""One pass under construction: commands are placed into it by the functions of `placing.py`."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pie.control.addresses import AddressSpace, NameTable
from pie.control.columns import Columns
from pie.control.conflicts import Touched
from pie.control.faults import Fallible, Fallibles
from pie.control.leases import Absence, Lease, P, V
from pie.control.memory import Memory
from pie.control.pool import Pool
from pie.control.pressure import Pressure
from pie.control.queue import CommandQueue
from pie.control.settings import ControlSettings
from pie.control.ticket import DistTicket, Entry, Question, SampleTicket, Ticket
from pie.control.work import DecodeWork, DriverWork, EmbedWork
from pie.core.driver import DriverSpec
from pie.core.ids import HostPlace
from pie.core.passes import FaultKind

Placer = Callable[["Batch", Entry, Any], bool]
"""Whether a command rides along; if not, it has changed nothing and its queue's prefix ends here.

Raises what must poison the queue: memory used up, contents lost, something never written.
"""


class Batch:
    """Commands are offered in queue order with `place`. What is public here is for the placers."""

    def __init__(
        self,
        memory: Memory,
        pressure: Pressure,
        settings: ControlSettings,
        spec: DriverSpec,
        placers: Mapping[type[Any], Placer],
        number: int,
        now: float,
    ) -> None:
        self.memory = memory
        self.pressure = pressure
        self.host_places: set[HostPlace] = set()
        """That the pass fills."""
        self.arrivals: list[AddressSpace] = []
        """Programs that are awake when the pass has returned: their pages come from disk."""
        self.returned: set[AddressSpace] = set()
        """Programs whose pages come back with it: in a pass pages leave first, so these can leave no sooner
        than with the next."""
        self.settings = settings
        self.spec = spec
        self.number = number
        """Of the pass that this becomes."""
        self.now = now
        self.columns = Columns()
        self.touched = Touched()
        self.dists: list[DistTicket] = []
        self.samples: list[SampleTicket] = []
        self.questions: list[Question] = []
        """To be answered when the pass has returned."""
        self.tenants = 1
        """That use this model."""
        self.most_inputs = settings.max_batch_tokens
        """Of forwards."""
        self.prefilled = 0
        """Inputs of forwards that have a budget."""
        self.embedded: dict[CommandQueue, EmbedWork] = {}
        """What each queue has put into embeddings last."""
        self._fallible: Fallibles = {}
        self._dropped = len(memory.dropped)
        self._placers = placers
        self.entries: list[Entry] = []
        """Queues that have a part in it."""
        self._only: type[DriverWork] | None = None

    def __len__(self) -> int:
        """How many queues have a part in it."""
        return len(self.entries)

    @property
    def swaps(self) -> bool:
        """Pages leave or come back with it."""
        return bool(self.columns.swap_outs or self.columns.swap_ins)

    def holds_up_others(self, queue: CommandQueue) -> bool:
        """Whether what it adds may keep another tenant waiting, or a higher priority."""
        return self.tenants > 1 or any(
            one.priority > queue.priority for space in self.memory.spaces for one in space.queues
        )

    def place(self, entry: Entry, work: DriverWork) -> bool:
        """Whether `work` rides along. Raises as placers do."""
        kind = type(work)
        place = self._placers[DecodeWork] if kind is DecodeWork else Batch.place_part
        if not place(self, entry, work):
            return False
        if not entry.joined:
            entry.queue.account.settle(1, work.size)  # a run that had ended
            return True
        entry.commands += 1
        entry.size += work.size
        return True

    def place_part(self, entry: Entry, work: DriverWork) -> bool:
        """`place` for one part of a command that takes several."""
        kind = type(work)
        if self._only is not None and kind is not self._only:
            return False
        if not self._placers[kind](self, entry, work):
            return False
        if not self.settings.fuse:
            self._only = kind
        self.join(entry)
        return True

    def join(self, entry: Entry) -> None:
        """Its queue has a part in the pass."""
        if not entry.joined:
            entry.joined = True
            self.entries.append(entry)

    def give(self, pool: Pool[P], table: NameTable[V, P], leases: Sequence[Lease[V, P]]) -> bool:
        """Places for those that have none; False where they must wait for the next pass."""
        missing = [lease for lease in leases if lease.physical is None]
        if not missing:
            return True
        for lease in missing:
            if lease.absence is Absence.FREED:
                raise lease.unusable()
        if pool.lacks(len(missing)):
            return False
        self.memory.give(pool, table, missing, self.now)
        return True

    def may_fail(self, kind: FaultKind, row: int, queue: CommandQueue, lease: Lease[Any, Any]) -> None:
        """Called before what a row asks for is noted: the command may fail alone, because of `lease`."""
        counts = len(self.dists), len(self.samples), len(self.questions)
        self._fallible[kind, row] = Fallible(queue, lease, *counts)

    def finish(self) -> Ticket:
        self.columns.matcher_drops += self.memory.dropped[: self._dropped]
        del self.memory.dropped[: self._dropped]
        return Ticket(
            self.columns.finish(self.number),
            self.entries,
            self.dists,
            self.samples,
            self.questions,
            self.touched.written(),
            self.host_places,
            self.arrivals,
            fallible=self._fallible,
        )
