"""Random programs of two inferlets with two queues each, beside a naive model of what they should see.

Pages and embs belong to one queue at a time (other queues' order is nobody's business), and change hands
only when all is quiet. So the model can execute a command when it is submitted.
"""

from collections.abc import Callable, Sequence
from random import Random
from typing import Any

from naive import NaiveExports, NaivePage, NaiveProgram
from random_parts import Inferlet, Owner, make_forward, same, some
from random_slots import make_slot_commands
from world import PAGE_SIZE, World, emb_names, page_names, slot_names

from pie.control import ControlSettings
from pie.control.exports import TenantExports
from pie.control.leases import Absence, PageLease
from pie.control.settings import Policy
from pie.core.commands import (
    AllocEmbs,
    AllocPages,
    AllocSlots,
    Command,
    CopyPages,
    DecodeAhead,
    EmbedText,
    ExportPages,
    ForkPages,
    FreeEmbs,
    FreePages,
    FreeSlots,
    ImportPages,
    MaskPage,
    NextDist,
    ReadSlots,
    Score,
    Span,
    Synchronize,
)
from pie.core.driver import DriverSpec
from pie.core.errors import InternalError, OutOfResources, QueueFailed, Unavailable
from pie.core.ids import Token, VirtualEmb, VirtualPage
from pie.testing import HashedScores, Recorded, fake_spec

VOCABULARY = 101
POLICIES: list[Policy] = ["eager", "k-only", "t-only", "adaptive"]


class RandomPrograms:
    """Each seed is a run: its settings, its programs, its interleaving."""

    def __init__(self, seed: int) -> None:
        dice = self.dice = Random(seed)
        self.labels = 0
        self.seen = 0
        self.faulty = False
        self.tight = dice.random() < 0.4
        settings = ControlSettings(
            policy=dice.choice(POLICIES),
            fuse=dice.random() < 0.6,
            k=dice.choice([1, 3]),
            max_batch_tokens=dice.choice([3, 2048]),
            prefill_tokens=dice.choice([4, 6, 128]),
            max_batch_dists=dice.choice([2, 512]),
            passes_in_flight=dice.choice([None, 1, 2, 3]),
        )
        pages, embs = (12, 18) if self.tight else (400, 800)
        spec = fake_spec(
            pages,
            embs,
            PAGE_SIZE,
            VOCABULARY,
            context=64,
            slots=8 if self.tight else 60,
            host_pages=dice.choice([0, 3, 60]),
        )
        self.world = self.make_world(settings, spec)
        self.losing = False
        """Contents were lost."""
        self.exports: NaiveExports = {}
        self.lasting: set[str] = set()
        self.made: set[str] = set()
        """Names that were not only taken: their queue has reached them."""
        self.inferlets = [self.open(0), self.open(1)]

    def make_world(self, settings: ControlSettings, spec: DriverSpec) -> World:
        return World(settings, spec, auto=False)

    def run(self, steps: int) -> None:
        """Raises `AssertionError` or `InternalError` as soon as something is not as it should be."""
        for step in self.dice.choices(*zip(*STEPS.items(), strict=True), k=steps):
            step(self)
            self.world.control.check_integrity()
            self.compare()
        self.end()

    def open(self, index: int) -> Inferlet:
        self.labels += 1
        program = self.world.program(f"inferlet {index} number {self.labels}")
        inferlet = Inferlet(program, NaiveProgram(PAGE_SIZE, HashedScores(VOCABULARY), self.exports))
        second = program.session.create_queue("fake")
        inferlet.owners = [Owner(inferlet, program.queue), Owner(inferlet, second)]
        for owner in inferlet.owners:
            self.fill_up(owner)
        return inferlet

    @property
    def owners(self) -> list[Owner]:
        return [owner for inferlet in self.inferlets for owner in inferlet.owners]

    def any_owner(self) -> Owner:
        return self.dice.choice(self.owners)

    def submit(self, owner: Owner, command: Command) -> bool:
        """To both sides. A queue that has failed for want of memory starts again, with nothing."""
        asks = isinstance(command, NextDist | Synchronize | ReadSlots | Score | DecodeAhead)
        self.labels += asks
        label = f"answer {self.labels}"
        completion = self.world.recorder.listener(label) if asks else None
        try:
            owner.inferlet.program.session.submit(owner.queue, command, completion)
        except QueueFailed:
            self.begin_anew(owner)
            return False
        answer = owner.inferlet.naive.execute(command)
        if asks:
            owner.expected[label] = answer
        return True

    def begin_anew(self, owner: Owner) -> None:
        """After a reset nobody knows what was executed, so the names go too."""
        session, naive = owner.inferlet.program.session, owner.inferlet.naive
        session.reset(owner.queue)
        pages, embs, slots = owner.pages, owner.embs, owner.slots
        owner.pages, owner.embs, owner.slots, owner.expected, owner.imported = [], [], [], {}, set()
        names = FreePages(page_names(pages)), FreeEmbs(emb_names(embs)), FreeSlots(slot_names(slots))
        for freed in names:
            session.submit(owner.queue, freed)
            naive.execute(freed)
        self.fill_up(owner)

    def new_names(self, used: Sequence[int] | dict[int, Any], count: int) -> list[int]:
        """The lowest unused ones, so that names are used again and again."""
        return [name for name in range(100) if name not in used][: max(0, count)]

    def allocate(self) -> None:
        self.fill_up(self.any_owner())

    def fill_up(self, owner: Owner) -> None:
        naive = owner.inferlet.naive
        pages = self.new_names(naive.pages, self.dice.randint(1, 4) - len(owner.pages))
        if self.submit(owner, AllocPages(page_names(pages))):
            owner.pages += pages
            embs = self.new_names(naive.embs, self.dice.randint(2, 5) - len(owner.embs))
            if self.submit(owner, AllocEmbs(emb_names(embs))):
                owner.embs += embs
                slots = self.new_names(naive.slots, 2 - len(owner.slots))
                if self.submit(owner, AllocSlots(slot_names(slots))):
                    owner.slots += slots

    def free(self) -> None:
        dice, owner = self.dice, self.any_owner()
        pages = some(dice, owner.pages, 2)
        if self.submit(owner, FreePages(page_names(pages))):
            owner.pages = [page for page in owner.pages if page not in pages]
            owner.imported.difference_update(pages)
            embs = some(dice, owner.embs, 2)
            if self.submit(owner, FreeEmbs(emb_names(embs))):
                owner.embs = [emb for emb in owner.embs if emb not in embs]

    def fork(self) -> None:
        dice, owner = self.dice, self.any_owner()
        src = some(dice, owner.pages, min(3, 7 - len(owner.pages)))
        dst = self.new_names(owner.inferlet.naive.pages, len(src))
        if src and self.submit(owner, ForkPages(page_names(src), page_names(dst))):
            owner.pages += dst

    def copy(self) -> None:
        self.copy_pages(self.any_owner())

    def copy_pages(self, owner: Owner) -> None:
        dice = self.dice
        count = dice.randint(1, 3) if owner.pages else 0
        count = count if owner.own_pages else 0
        src, dst = dice.choices(owner.pages or [0], k=count), dice.choices(owner.own_pages or [0], k=count)
        spans = []
        for _ in range(count):
            one, other = dice.randrange(PAGE_SIZE), dice.randrange(PAGE_SIZE)
            spans.append(Span(one, other, dice.randint(0, PAGE_SIZE - max(one, other))))
        self.submit(owner, CopyPages(page_names(src), page_names(dst), spans))

    def mask(self) -> None:
        dice, owner = self.dice, self.any_owner()
        if owner.own_pages:
            page, visible = dice.choice(owner.own_pages), dice.randrange(2**PAGE_SIZE)
            if self.submit(owner, MaskPage(VirtualPage(page), visible)) and dice.random() < 0.6:
                self.copy_pages(owner)

    @property
    def tenant(self) -> TenantExports:
        return self.world.control._lanes["fake"].exports.of("default")

    def export(self) -> None:
        """Under one of a few names; one in use is refused, and that changes nothing."""
        dice, owner = self.dice, self.any_owner()
        name, seconds = dice.choice("abcd"), dice.choice([None, 0.5, 3.0, 1000.0])
        pages = some(dice, owner.pages, 3, 1)
        if not pages or name in self.tenant.names:
            return
        if self.submit(owner, ExportPages(page_names(pages), name, seconds, 0, b"")):
            self.made.discard(name)
            self.lasting.discard(name)
            if seconds is not None:
                self.lasting.add(name)

    def import_pages(self) -> None:
        dice, owner = self.dice, self.any_owner()
        there = [name for name in self.exports if self.tenant.find(name)]
        if there and len(owner.pages) < 6:
            name = dice.choice(there)
            pages = self.new_names(owner.inferlet.naive.pages, len(self.exports[name]))
            if self.submit(owner, ImportPages(name, page_names(pages))):
                owner.pages += pages
                owner.imported.update(pages)

    def unexport(self) -> None:
        name = self.dice.choice("abcd")
        if self.tenant.find(name):
            self.tenant.unexport(name)
            del self.exports[name]

    def compare_exports(self) -> None:
        """Names go with their program or queue, with lost pages, or evicted; the others are as they were."""
        for name in list(self.exports):
            if self.tenant.find(name):
                leases = list(self.tenant.names[name].leases)
                assert list(map(self.content, leases)) == self.exports[name], f"export {name}"
                continue
            assert name not in self.tenant.names, f"export {name} was never made"
            stays = name in self.made & self.lasting and not (self.losing or self.tight)
            assert not stays, f"export {name} went for no reason"
            del self.exports[name]

    def embed(self) -> None:
        dice, owner = self.dice, self.any_owner()
        self.submit_embed(owner, dice, some(dice, owner.embs, 3))

    def submit_embed(self, owner: Owner, dice: Random, embs: list[int]) -> bool:
        tokens = [Token(dice.randrange(VOCABULARY)) for _ in embs]
        positions = [dice.randrange(12) for _ in embs]
        return self.submit(owner, EmbedText(tokens, positions, emb_names(embs)))

    def forward(self) -> None:
        dice, owner = self.dice, self.any_owner()
        for _ in range(dice.randint(1, 2)):
            if owner.written:
                self.submit(owner, make_forward(owner, dice, some(dice, owner.written, 4, 1)))

    def ask(self) -> None:
        dice, owner = self.dice, self.any_owner()
        if owner.written:
            tokens = [Token(dice.randrange(VOCABULARY)) for _ in range(dice.randrange(3))]
            emb = VirtualEmb(dice.choice(owner.written))
            self.submit(owner, NextDist(emb, dice.randint(1, 4), tokens))

    def think(self) -> None:
        """A whole step: embed, forward, distribution of what it gave."""
        dice, owner = self.dice, self.any_owner()
        inputs = some(dice, owner.embs, 4, 1)
        if inputs and self.submit_embed(owner, dice, inputs):
            command = make_forward(owner, dice, inputs)
            if self.submit(owner, command):
                for emb in command.oemb[:1]:
                    self.submit(owner, NextDist(emb, 1, []))

    def run_ahead(self) -> None:
        """Something with slots."""
        owner = self.any_owner()
        for command in make_slot_commands(owner, self.dice, VOCABULARY):
            if not self.submit(owner, command):
                return

    def synchronize(self) -> None:
        self.submit(self.any_owner(), Synchronize())

    def prioritize(self) -> None:
        owner = self.any_owner()
        owner.inferlet.program.session.set_priority(owner.queue, self.dice.randint(-1, 1))

    def pump(self) -> None:
        self.world.control.pump()

    def tick(self) -> None:
        self.world.clock.run_next()

    def rest(self) -> None:
        self.drain()

    def hand_over(self) -> None:
        """When all is quiet, names may go to the inferlet's other queue."""
        self.drain()
        giver, taker = self.dice.sample(self.dice.choice(self.inferlets).owners, 2)
        pages, embs = some(self.dice, giver.pages, 3), some(self.dice, giver.embs, 3)
        giver.pages = [page for page in giver.pages if page not in pages]
        taker.imported |= giver.imported & set(pages)
        giver.imported.difference_update(pages)
        giver.embs = [emb for emb in giver.embs if emb not in embs]
        taker.pages += pages
        taker.embs += embs

    def reset(self) -> None:
        self.begin_anew(self.any_owner())

    def fail(self) -> None:
        self.faulty = self.losing = True
        self.world.driver.fail_next("a fault that was asked for")

    def kill(self) -> None:
        """Everybody begins anew; some do so while the driver is still down."""
        self.losing = True
        self.world.driver.kill()
        early, late = self.owners[::2], self.owners[1::2]
        for owner in early:
            self.world.control.check_integrity()
            owner.inferlet.program.session.reset(owner.queue)
        self.world.restore()
        for owner in early + late:
            self.begin_anew(owner)

    def close(self) -> None:
        index = self.dice.randrange(2)
        self.inferlets[index].program.session.close()
        self.inferlets[index] = self.open(index)

    def drain(self) -> None:
        self.world.run()
        self.compare()
        while failed := [owner for owner in self.owners if self.has_failed(owner) or self.has_lost(owner)]:
            for owner in failed:
                self.begin_anew(owner)
            self.world.run()
            self.compare()
        for owner in self.owners:
            assert not owner.expected, "a completion was never called"
            self.compare_contents(owner)
        self.compare_exports()
        for inferlet in self.inferlets:
            session = inferlet.program.session
            most = len(inferlet.naive.pages) + sum(map(len, self.exports.values()))
            assert session.usage().pages <= most, "freed pages are held"
            assert (session._account.commands, session._account.numbers) == (0, 0)

    def compare_contents(self, owner: Owner) -> None:
        """Everything that was ever written, in the place where the driver would look for it."""
        naive, executor = owner.inferlet.naive, self.world.executor
        (space,) = owner.inferlet.program.session._spaces.values()
        for name in owner.pages:
            lease = space.pages.find(page_names([name]))[0]
            assert self.content(lease) == naive.pages[name], f"page {name}"
        for name in owner.written:
            slot = space.embs.find(emb_names([name]))[0].physical
            assert slot is not None and executor.slots[slot] == naive.embs[name], f"emb {name}"
        for name in owner.filled:
            cell = space.slots.find(slot_names([name]))[0].physical
            assert cell is not None and executor.tokens[cell] == naive.slots[name], f"slot {name}"

    def content(self, lease: PageLease) -> NaivePage:
        """What the driver has there, on the device or in host memory."""
        executor, found = self.world.executor, NaivePage.empty(PAGE_SIZE)
        if not lease.is_empty:
            there = lease.physical
            page = executor.host[lease.host] if there is None else executor.pages[there]
            found.tokens = [page.tokens.get(i) for i in range(PAGE_SIZE)]
            found.visible = [bool(page.visible >> i & 1) for i in range(PAGE_SIZE)]
        return found

    def has_failed(self, owner: Owner) -> bool:
        return "failed" in owner.inferlet.program.session.describe(owner.queue)

    def has_lost(self, owner: Owner) -> bool:
        """Pages that it imported went with somebody else's pass."""
        (space,) = owner.inferlet.program.session._spaces.values()
        leases = space.pages.find(page_names(owner.pages))
        return self.faulty and any(lease.absence is Absence.LOST for lease in leases)

    def compare(self) -> None:
        self.made.update(name for name in self.exports if self.tenant.find(name))
        new = self.world.recorder.events[self.seen :]
        self.seen += len(new)
        for event in new:
            owner = next((owner for owner in self.owners if event.label in owner.expected), None)
            self.judge(event, owner)

    def judge(self, event: Recorded, owner: Owner | None) -> None:
        if owner is None:
            return  # of a queue that has begun anew
        expected = owner.expected.pop(event.label)
        if event.error is not None:
            allowed = (OutOfResources,) * self.tight + (InternalError, Unavailable) * self.faulty
            assert isinstance(event.error, allowed), f"{event.label}: {event.error}"
        else:
            assert same(event.value, expected), f"{event.label}: {event.value}, should be {expected}"

    def end(self) -> None:
        self.drain()
        for inferlet in self.inferlets:
            inferlet.program.session.close()
        for name in list(self.tenant.names):
            self.tenant.unexport(name)
        self.world.control.check_integrity()
        assert self.world.free_pages == self.world.spec.pages
        assert self.world.free_embs == self.world.spec.embs
        assert self.world.free_slots == self.world.spec.slots


STEPS: dict[Callable[[RandomPrograms], None], float] = {
    RandomPrograms.think: 6,
    RandomPrograms.run_ahead: 5,
    RandomPrograms.fork: 2,
    RandomPrograms.export: 1.5,
    RandomPrograms.import_pages: 2,
    RandomPrograms.unexport: 0.5,
    RandomPrograms.copy: 2,
    RandomPrograms.mask: 1,
    RandomPrograms.embed: 1,
    RandomPrograms.forward: 3,
    RandomPrograms.ask: 2,
    RandomPrograms.allocate: 3,
    RandomPrograms.free: 2,
    RandomPrograms.synchronize: 0.5,
    RandomPrograms.prioritize: 0.3,
    RandomPrograms.pump: 1,
    RandomPrograms.tick: 1,
    RandomPrograms.rest: 1,
    RandomPrograms.hand_over: 0.5,
    RandomPrograms.reset: 0.3,
    RandomPrograms.fail: 0.1,
    RandomPrograms.kill: 0.1,
    RandomPrograms.close: 0.2,
}
"""What may happen, and how often."""
