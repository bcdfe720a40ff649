"""When pages run out: who is suspended, who waits, and who comes back first.

Programs are ranked by priority, then age. Whoever needs pages takes them from programs of lower rank, and
from any that has asked for nothing for a while (it waits for a tool, or for a message); their pages move to
host memory, and their commands sleep. So the oldest program of the highest priority always goes on, and with
it, in the end, everybody. A program comes back when it has commands and its pages fit.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

from pie.control.addresses import AddressSpace
from pie.control.memory import Memory
from pie.control.notices import Notices
from pie.control.page_shares import PageShares, priority_of
from pie.control.queue import CommandQueue
from pie.control.settings import ControlSettings
from pie.control.ticket import Ticket
from pie.control.trace import note_resumed, note_suspended
from pie.control.wishes import Wishes
from pie.core.errors import InternalError, OutOfResources

if TYPE_CHECKING:
    from pie.control.batch import Batch

DEADLOCK_SECONDS = 1.0
"""When everybody who has pages has waited for more for so long, somebody must give up."""
RETRY_SECONDS = 0.01
"""Nobody tries more often while nothing happens."""
Rank = tuple[int, int]
"""Of a program: higher goes first."""


class Pressure:
    """On the pages of one model."""

    def __init__(
        self,
        memory: Memory,
        settings: ControlSettings,
        in_flight: Iterable[Ticket],
        put_to_sleep: Callable[[CommandQueue], None],
        notices: Notices,
    ) -> None:
        """`put_to_sleep` is told of every queue of a program that is suspended."""
        self.asleep: dict[CommandQueue, float] = {}
        """Queues of suspended programs in which something waits, and since when."""
        self.starved: dict[CommandQueue, float] = {}
        """Queues that need pages which nobody has to give up, and since when."""
        self._arriving: set[AddressSpace] = set()
        """Programs whose pages are on their way from disk."""
        self.wishes = Wishes(in_flight)
        self.suspensions = 0
        """How often a program was suspended."""
        self._memory = memory
        self._settings = settings
        self._in_flight = in_flight
        self._put_to_sleep = put_to_sleep
        self.notices = notices
        self._retrying: dict[CommandQueue, float] = {}
        """Starved ones that try again, and since when they have waited."""
        self._promised: dict[CommandQueue, int] = {}
        """Queues for which programs were suspended, and the pages they wait for: nobody of lower rank comes
        back into these, or the two would give way to each other for ever."""
        self.last_pass = 0.0
        """When programs last had a part in a pass."""
        self._free = 0
        """Pages that were free when somebody starved, and when that was."""
        self._tried = 0.0

    # --- taking -----------------------------------------------------------------------------------------

    def lacks(self, batch: "Batch", queue: CommandQueue, count: int) -> bool:
        """Whether a command of `queue` must wait for `count` pages. Raises `OutOfResources` where waiting
        would not help."""
        memory = self._memory
        self._promised.pop(queue, None)
        try:
            return memory.lacks_pages(count, batch.now)
        except OutOfResources:
            if count > memory.pages.total or not (memory.host.total or self.notices.any):
                raise
            if self._make_room(batch, queue.space, count, count):
                self._promised[queue] = count
            else:
                self._starve(batch, queue, count)
            return True

    def _make_room(self, batch: "Batch", space: AddressSpace, count: int, own: int) -> bool:
        """Suspends programs until so many pages are obtainable, of which `space` wants `own`. Those that want
        to be told first, are."""
        memory, now = self._memory, batch.now
        missing = count - memory.obtainable_pages
        if missing > 0:
            self.notices.tell(missing, space, now)
        for victim in self._victims(batch, space, own):
            if memory.obtainable_pages >= count or not memory.host.free:
                break
            if not self.notices.spares(victim, now):
                self._suspend(batch, victim)
        return memory.obtainable_pages >= count

    def _victims(self, batch: "Batch", space: AddressSpace, count: int) -> Iterator[AddressSpace]:
        """Whose pages may be taken for `space`, which wants so many; those that will miss them least come
        first. Each is asked for when the one before has gone: its tenant has less then."""
        starving = {queue.space for queue in (*self.starved, *self._retrying)}
        candidates = self._candidates(batch, space)
        shares = self._shares()
        for other in sorted(
            candidates, key=lambda one: self._regret(one, candidates[one], shares, batch.now)
        ):
            size, now = len(self._memory.movable(other)), self._shares()
            if candidates[other] or now.may_take(space, count, other, size, other in starving):
                yield other

    def _candidates(self, batch: "Batch", space: AddressSpace) -> dict[AddressSpace, bool]:
        """Who has pages that can leave with this pass, and whether it is idle."""
        excused = batch.returned | {entry.queue.space for entry in batch.entries}
        busy = {entry.queue.space for ticket in self._in_flight for entry in ticket.entries}
        found: dict[AddressSpace, bool] = {}
        for other in self._memory.spaces:
            if other is space or other.suspended or other in excused or not other.queues:
                continue
            if self._memory.movable(other):
                found[other] = other not in busy and self._is_idle(other, batch.now)
        return found

    def _shares(self) -> PageShares:
        return PageShares(self._memory.spaces, self._settings.weights, self._memory.pages.total)

    def _regret(self, other: AddressSpace, idle: bool, shares: PageShares, now: float) -> tuple[float, ...]:
        """How bad it is to suspend it: by priority, share of its tenant, idleness; of those who are idle, the
        cheapest to bring back, and of the others the youngest go first."""
        priority, age = rank(other)
        cost = len(self._memory.movable(other)) if idle else 0
        return other.retained_until > now, priority, not shares.exceeds(other.tenant), not idle, cost, age

    def _is_idle(self, space: AddressSpace, now: float) -> bool:
        seconds = self._settings.idle_ms / 1000
        return all(not queue.work and now - queue.since >= seconds for queue in space.queues)

    @property
    def has_places(self) -> bool:
        """Some page could leave the device."""
        return bool(self._memory.host.free)

    def send_away(self, batch: "Batch") -> None:
        """Programs that have asked for it, as far as there are places."""
        for space in self.wishes.take_away():
            if not space.suspended and self._memory.movable(space):
                self._suspend(batch, space)

    def _suspend(self, batch: "Batch", space: AddressSpace) -> None:
        if space in batch.returned:
            raise InternalError("pages would leave with the pass that brings them back")
        moves = self._memory.swap_out(space, batch.now)
        note_suspended(space, len(moves), batch.now)
        for page, place in moves:
            batch.columns.swap_outs += (page, place)
            batch.host_places.add(place)
        space.suspended = True
        self.suspensions += 1
        for queue in space.queues:
            self._put_to_sleep(queue)
            if queue.work:
                self.asleep[queue] = batch.now
            self.starved.pop(queue, None)
            self._promised.pop(queue, None)

    def _starve(self, batch: "Batch", queue: CommandQueue, count: int) -> None:
        """Waits for pages of those who go first. Raises `OutOfResources` where there are none to wait for, or
        where not even all of them were enough."""
        memory, now = self._memory, batch.now
        if self._never_fits(queue, count):
            raise self.too_little()
        since = self._retrying.get(queue, now)
        helpful = any(
            other.queues and other.pages.held.held and other is not queue.space for other in memory.spaces
        )
        if not (helpful and (memory.host.total or self.notices.pending(now))):
            raise self.too_little()
        self.starved[queue] = since
        self._free = len(memory.pages.free)
        self._tried = now

    def _never_fits(self, queue: CommandQueue, count: int) -> bool:
        """With what its program holds, and no other queue of it that may give something back."""
        held = {lease.physical for lease in queue.space.pages.living()} - {None}
        others = any(other.work for other in queue.space.queues if other is not queue)
        return len(held) + count > self._memory.pages.total and not others

    def too_little(self) -> OutOfResources:
        pages, host = self._memory.pages, self._memory.host
        return OutOfResources(
            f"not enough pages: {len(pages.free)} of {pages.total} are free, and {len(host.free)} of "
            f"{host.total} places in host memory and on disk: free some, run fewer programs at once, or "
            "set PIE_PAGES, PIE_HOST_PAGES or PIE_DISK_PAGES to more"
        )

    # --- giving back ------------------------------------------------------------------------------------

    @property
    def retry_seconds(self) -> float:
        """When nothing happens, the time after which somebody may have become idle."""
        return max(self._settings.idle_ms / 1000, RETRY_SECONDS)

    def fed(self, now: float) -> list[CommandQueue]:
        """Starved queues that may try again, those of the highest rank first."""
        if len(self._memory.pages.free) <= self._free and now - self._tried < self.retry_seconds:
            return []
        self._retrying, self.starved = self.starved, {}
        shares = self._shares()
        return sorted(self._retrying, key=lambda queue: shares.turn(queue.space, 1), reverse=True)

    def hopeless(self, now: float) -> list[CommandQueue]:
        """Queues that have waited for too long while nobody got on: those of the program of the lowest rank.
        What it gives up may help the others, who wait anew. (What a suspended one gives up helps only where
        host memory is short.)"""
        waiting = {**self.asleep, **self.starved}
        deadlocked = now - self.last_pass > DEADLOCK_SECONDS and self._is_deadlocked()
        stuck = [queue for queue, since in waiting.items() if deadlocked or self._too_long(since, now)]
        if not stuck:
            return []
        self.last_pass = now
        wanting = [queue for queue in stuck if queue in self.starved and self._memory.host.free]
        lowest = min((queue.space for queue in wanting or stuck), key=rank)
        return [queue for queue in stuck if queue.space is lowest]

    def _is_deadlocked(self) -> bool:
        """Whoever holds pages waits for more."""
        waiting = {queue.space for queue in (*self.starved, *self.asleep)}
        holders = (space for space in self._memory.spaces if space.queues and space.pages.held.held)
        return bool(self.starved) and not self._in_flight and all(space in waiting for space in holders)

    def _too_long(self, since: float, now: float) -> bool:
        """While others go on, waiting makes sense, and each program's own deadline bounds it."""
        return now - max(since, self.last_pass) > self._settings.starve_seconds

    def bring_back(self, batch: "Batch") -> list[CommandQueue]:
        """Wakes suspended programs that have commands, as far as their pages fit. Their queues."""
        woken: list[CommandQueue] = []
        needy = {queue.space for queue in self.asleep}
        spaces = (needy | self.wishes.back.keys()) - self._arriving
        self.wishes.back.clear()
        shares, memory = self._shares(), self._memory

        def turn(space: AddressSpace) -> tuple[int, bool, int]:
            return shares.turn(space, len(memory.swapped(space)))

        for space in sorted(spaces, key=turn, reverse=True):
            if not self._has_room_for(batch, space, space in needy):
                if space in needy and self._is_anybody_awake():
                    break  # the room that comes is for this one
                continue
            moves = self._memory.swap_in(space, batch.now)
            batch.returned.add(space)
            for place, page in moves:
                batch.columns.swap_ins += (place, page)
                batch.touched.pages_changed.add(page)
            if any(self._memory.is_on_disk(place) for place, _ in moves):
                self._arriving.add(space)
                batch.arrivals.append(space)
            else:
                woken += self.wake(space, batch.now)
        return woken

    def _is_anybody_awake(self) -> bool:
        """With pages that it may give back."""
        return any(
            other.queues and other.pages.held.held and (other in self._arriving or not other.suspended)
            for other in self._memory.spaces
        )

    def wake(self, space: AddressSpace, now: float) -> list[CommandQueue]:
        """Its pages are back. The queues in which something waits."""
        self._arriving.discard(space)
        space.suspended = False
        note_resumed(space, now)
        woken = [queue for queue in space.queues if queue in self.asleep]
        for queue in woken:
            del self.asleep[queue]
        return woken

    def _has_room_for(self, batch: "Batch", space: AddressSpace, needy: bool) -> bool:
        """With a page to go on with, and with what each program of a higher rank waits for, or one: else it
        were suspended again at once."""
        memory, shares = self._memory, self._shares()
        need = len(memory.swapped(space)) + 1
        wanted = {other: 1 for other in memory.spaces if other.pages.held.held and other is not space}
        for queue, count in self._promised.items():
            wanted[queue.space] = wanted.get(queue.space, 0) + count
        above = sum(count for other, count in wanted.items() if shares.goes_before(other, space, need))
        if any(shares.goes_before(queue.space, space, need) for queue in self.starved):
            return False
        if needy and len(memory.pages.free) < need + above:
            self._make_room(batch, space, need + above, need)
        return len(memory.pages.free) >= min(need + above, memory.pages.total)

    def close(self, space: AddressSpace) -> None:
        """The program has ended."""
        self._arriving.discard(space)
        self.wishes.forget(space)
        self.notices.close(space)

    def forget(self, queue: CommandQueue) -> None:
        """Nothing waits in it any more."""
        self.asleep.pop(queue, None)
        self.starved.pop(queue, None)
        self._promised.pop(queue, None)


def rank(space: AddressSpace) -> Rank:
    return priority_of(space), -space.number
