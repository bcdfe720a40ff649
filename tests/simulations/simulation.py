"""Many programs on one model in virtual time, with faults. Each seed is one simulation.

Programs of several tenants, priorities and quotas come, ask, wait for tools, share pages and go; passes are
slow or fail, the driver dies and comes back, programs are cancelled at any moment. Every answer must be what
the program would hear alone; in the end every page, embedding, slot, matcher and place in host memory is
accounted for, nobody waits, and at no time may passes be sent for long without anybody getting on.
"""

from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random

from naive import NaiveExports
from scripts import VOCABULARY
from simulated import Answer, Simulated
from world import PAGE_SIZE, World

from pie.control import ControlSettings
from pie.control.settings import Policy
from pie.core.errors import InternalError, LimitExceeded, OutOfResources, PieError, Unavailable
from pie.core.passes import Pass
from pie.core.programs import Quota
from pie.testing import fake_spec

POLICIES: list[Policy] = ["adaptive", "adaptive", "eager", "k-only", "t-only"]
TENANTS = ("ann", "ben", "cat")
MOST_PASSES = 300
"""In a row in which nobody gets on."""
MOST_STEPS = 20_000
"""Of the clock, without anybody getting on: more than a minute of retries."""


@dataclass(frozen=True)
class Report:
    """What happened, to see that everything happens."""

    counts: Counter[str]


class Simulation:
    """`run` raises `AssertionError` or `InternalError` when something is not as it should be."""

    def __init__(self, seed: int) -> None:
        dice = self.dice = Random(seed)
        self.crowded = dice.random() < 0.8
        self.roomy = dice.random() < 0.6
        """Host memory and disk have room for everything."""
        host_pages, disk_pages = dice.choice([0, 2, 10]), dice.choice([0, 0, 3, 20])
        if self.roomy:
            host_pages, disk_pages = dice.choice([(400, 0), (0, 400), (3, 400)])
        spec = fake_spec(
            dice.randint(12, 24) if self.crowded else 300, 600, PAGE_SIZE, VOCABULARY, slots=200, matchers=40,
            context=256, host_pages=host_pages, disk_pages=disk_pages,
        )  # fmt: skip
        self.has_quotas = dice.random() < 0.2
        self.damage = dice.choice([0.0, 0.1])
        """Share of passes with pages for the disk of which one is damaged there."""
        self.slow = dice.choice([0.0, 0.01, 0.1])
        """Share of passes that take a hundred times as long."""
        self.world = World(self._settings(), spec, auto=False, seconds=self._seconds)
        self.world.control.guests_runnable = lambda: len(self._ready)
        self.final = (LimitExceeded,)
        """Errors after which no program begins anew."""
        self.programs: list[Simulated] = []
        self.counts: Counter[str] = Counter()
        self.faults = 0
        self.problems: list[str] = []
        self._exports: dict[str, NaiveExports] = {}
        self._ready: deque[Callable[[], None]] = deque()
        self._to_come = 0
        self._idle_passes = 0
        self._idle_steps = 0
        self._seen = 0
        self._times = dice.randrange(1 << 30)

    def _settings(self) -> ControlSettings:
        dice = self.dice
        quotas: Mapping[str, Quota] = {}
        if self.has_quotas:
            quotas = {"ann": Quota(tokens=dice.randint(20, 200)), "ben": Quota(pages=dice.randint(6, 20))}
        return ControlSettings(
            policy=dice.choice(POLICIES),
            fuse=dice.random() < 0.9,
            k=dice.choice([2, 8]),
            max_batch_tokens=dice.choice([8, 64, 2048]),
            prefill_tokens=dice.choice([4, 16, 128]),
            max_batch_dists=dice.choice([2, 512]),
            passes_in_flight=dice.choice([None, 1, 2, 3]),
            weights={"cat": 3.0},
            quotas=quotas,
            trace_events=0,
            idle_ms=dice.choice([0.0, 50.0, 1000.0]),
        )

    def _seconds(self, work: Pass) -> float:
        moved = len(work.swap_outs) + len(work.swap_ins)
        usual = 0.005 + 0.0005 * len(work.inputs) + 0.001 * moved
        slow = Random(self._times + work.number).random() < self.slow
        return 100 * usual if slow else usual

    # --- what happens -------------------------------------------------------------------------------------

    def run(self) -> Report:
        self._plan()
        while self._goes_on:
            self._step()
        self._end()
        return Report(self.counts)

    @property
    def _goes_on(self) -> bool:
        return bool(self._to_come or any(not program.over for program in self.programs))

    def _plan(self) -> None:
        dice = self.dice
        for number in range(dice.randint(2, 20)):
            self._at(dice.choice([0.0, 0.0, dice.uniform(0, 1)]), lambda number=number: self._open(number))
        if dice.random() < 0.3:
            for _ in range(dice.randint(1, 3)):
                self._at(dice.uniform(0, 2), self._fail_pass)
        if dice.random() < 0.3:
            for _ in range(dice.randint(1, 2)):
                self._at(dice.uniform(0, 2), self._kill)
        if dice.random() < 0.2:
            self._at(dice.uniform(0, 2), self._fill_disk)
        if dice.random() < 0.5:
            for _ in range(dice.randint(1, 4)):
                self._at(dice.uniform(0, 2), self._cancel)

    def _at(self, when: float, what: Callable[[], None]) -> None:
        self._to_come += 1
        self.world.clock.call_at(when, lambda: self._happens(what))

    def _happens(self, what: Callable[[], None]) -> None:
        self._to_come -= 1
        self.note_progress()
        what()

    def _open(self, number: int) -> None:
        program = Simulated(self, number, self.dice.choice(TENANTS))
        self.programs.append(program)
        self.counts["programs"] += 1
        self._ready.append(program.resume)

    def _cancel(self) -> None:
        alive = [program for program in self.programs if not program.over]
        if alive:
            self.counts["cancelled"] += 1
            self.dice.choice(alive).close()

    def _fail_pass(self) -> None:
        if self.world.driver.alive:
            self.faults += 1
            self.counts["passes failed"] += 1
            self.world.driver.fail_next("a fault that was asked for")

    def _write(self, places: Sequence[int]) -> None:
        """Pages are going to be on disk; sometimes one is damaged there."""
        self.counts["to disk"] += len(places)
        if places and self.dice.random() < self.damage:
            self.counts["pages damaged"] += 1
            self.world.executor.damaged[self.dice.choice(places)] = "a page was damaged"

    def _fill_disk(self) -> None:
        """For a while."""
        executor = self.world.executor
        executor.disk_is_full = True
        self.counts["disk full"] += 1
        self._at(self.world.clock.now() + 1.0, lambda: setattr(executor, "disk_is_full", False))

    def _kill(self) -> None:
        if self.world.driver.alive:
            self.faults += 1
            self.counts["driver deaths"] += 1
            self.world.driver.kill()
            self._at(self.world.clock.now() + self.dice.choice([0.0, 0.2, 2.0]), self.world.restore)

    def _step(self) -> None:
        while self._ready:
            self._ready.popleft()()
        self.world.pump()
        self._watch()
        assert not self.problems, self.problems
        if self._goes_on and not self._ready and not self.world.clock.run_next():
            waiting = [program.name for program in self.programs if not program.over]
            raise AssertionError(f"{waiting} wait, and nothing will ever happen")

    def _watch(self) -> None:
        """Somebody must get on."""
        passes = self.world.passes[self._seen :]
        self._seen += len(passes)
        self.counts["passes"] += len(passes)
        for work in passes:
            first = self.world.spec.host_pages
            self.counts["swapped out"] += len(work.swap_outs) // 2
            self._write([place for place in work.swap_outs[1::2] if place >= first])
            self._idle_passes = 0 if does_something(work) else self._idle_passes + 1
        self._idle_steps += 1
        if self._idle_passes > MOST_PASSES or self._idle_steps > MOST_STEPS:
            raise AssertionError(f"livelock: {self._idle_passes} passes, {self._idle_steps} steps")

    def _end(self) -> None:
        world = self.world
        for tenant in TENANTS:
            exports = world.control._lanes["fake"].exports.of(tenant)
            for name in list(exports.names):
                exports.withdraw(exports.names[name])
        world.control._lanes["fake"].memory.settle()
        world.run()
        self._account()

    def _account(self) -> None:
        statistics = self.world.control.statistics()
        model, memory = statistics.models["fake"], self.world.control._lanes["fake"].memory
        for pool in (*memory.pools.values(), memory.host):
            assert (pool.held, len(pool.free)) == (0, pool.total), f"{pool.held} {pool.noun}s are left"
        left = statistics.sessions, model.queues, model.queued_commands, model.passes_in_flight
        assert left == (0, 0, 0, 0), f"left: {left}"
        pressure = self.world.control._lanes["fake"].planner.pressure
        assert not (pressure.asleep or pressure.starved or pressure.notices.any), "pressure remembers queues"
        self.counts["suspensions"] += model.suspensions
        self.counts["notices"] += model.notices

    # --- what programs call -------------------------------------------------------------------------------

    def note_progress(self) -> None:
        self._idle_steps = self._idle_passes = 0

    def answered(self, answer: Answer) -> None:
        self.note_progress()
        self.counts["answers"] += 1
        self._ready.append(lambda: answer.program.wake(answer))

    def ready(self, program: Simulated) -> None:
        self._ready.append(program.resume)

    def call_in(self, seconds: float, what: Callable[[], None]) -> None:
        self._at(self.world.clock.now() + seconds, lambda: self._ready.append(what))

    def exports_of(self, tenant: str) -> NaiveExports:
        return self._exports.setdefault(tenant, {})

    def names(self, tenant: str) -> list[str]:
        return list(self.world.control._lanes["fake"].exports.of(tenant).names)

    def judge(self, program: Simulated, error: PieError) -> None:
        """Nobody may get an error for no reason."""
        self.counts[type(error).__name__] += 1
        limited = self.has_quotas or program.limits != type(program.limits)()
        full = (self.crowded or any(other.too_much for other in self.programs)) and not self.roomy
        allowed = {
            LimitExceeded: limited,
            OutOfResources: full or program.too_much or any(self._exports.values()),
            InternalError: self.faults > 0 and "a fault that was asked for" in str(error),
            Unavailable: self.faults > 0 or program.has_lost_page(),
        }
        if not allowed.get(type(error), False):
            raise AssertionError(f"{program.name} got an error for no reason: {error!r}") from error


def does_something(work: Pass) -> bool:
    """Beside moving pages."""
    columns = (
        work.inputs, work.copies, work.page_masks, work.embed_slots, work.dist_slots, work.sample_slots,
        work.slot_embs, work.score_slots, work.matcher_ops, work.matcher_reads,
    )  # fmt: skip
    return any(columns)
