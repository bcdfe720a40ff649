"""Random programs of two inferlets with two queues each, beside a naive model of what they should see.

Pages and embs belong to one queue at a time (other queues' order is nobody's business), and change hands
only when all is quiet. So the model can execute a command when it is submitted.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from naive import NaiveExports, NaivePage, NaiveProgram
from world import PAGE_SIZE, Program, World, emb_names, page_names

from pie.control import ControlSettings
from pie.control.exports import TenantExports
from pie.control.leases import Absence
from pie.control.settings import Policy
from pie.core.commands import (
    AllocEmbs,
    AllocPages,
    Command,
    CopyPages,
    Dist,
    EmbedText,
    ExportPages,
    ForkPages,
    Forward,
    FreeEmbs,
    FreePages,
    ImportPages,
    MaskPage,
    NextDist,
    Span,
    Synchronize,
)
from pie.core.errors import InternalError, OutOfResources, QueueFailed, Unavailable
from pie.core.ids import PhysicalPage, QueueId, Token, VirtualEmb, VirtualPage
from pie.testing import HashedScores, Recorded, fake_spec

VOCABULARY = 101
POLICIES: list[Policy] = ["eager", "k-only", "t-only", "adaptive"]


@dataclass
class Owner:
    """A queue and the names that only it uses."""

    inferlet: "Inferlet"
    queue: QueueId
    pages: list[int] = field(default_factory=list)
    embs: list[int] = field(default_factory=list)
    imported: set[int] = field(default_factory=set)
    """Those of its pages that are somebody else's."""
    expected: dict[str, Dist | None] = field(default_factory=dict)
    """What completions that were not called yet must say."""

    @property
    def own_pages(self) -> list[int]:
        """Pages that may be written."""
        return [page for page in self.pages if page not in self.imported]

    @property
    def written(self) -> list[int]:
        """Embs that hold something."""
        return [emb for emb in self.embs if self.inferlet.naive.embs[emb] is not None]


@dataclass
class Inferlet:
    program: Program
    naive: NaiveProgram
    owners: list[Owner] = field(default_factory=list)


def some(dice: Random, values: Sequence[int], most: int, least: int = 0) -> list[int]:
    """Some of the values, in any order."""
    most = max(0, min(most, len(values)))
    return dice.sample(values, dice.randint(min(least, most), most))


def make_forward(owner: Owner, dice: Random, iemb: list[int]) -> Forward:
    """Mostly like a step that fills pages, sometimes with anything that is allowed."""
    ikv = list(owner.pages) if dice.random() < 0.6 else some(dice, owner.pages, 4)
    okv = some(dice, owner.own_pages, 3, 1)
    room = len(okv) * PAGE_SIZE - len(iemb)
    if room < 0 or dice.random() < 0.1:
        okv, room = [], 0
    offset = dice.randint(0, min(room, PAGE_SIZE - 1 if dice.random() < 0.8 else room))
    oemb = some(dice, owner.embs, len(iemb))
    outputs = [dice.randrange(len(iemb)) for _ in oemb] if dice.random() < 0.3 else []
    mask = make_mask(dice, len(ikv) * PAGE_SIZE + len(iemb), len(iemb)) if dice.random() < 0.25 else None
    return Forward(page_names(ikv), emb_names(iemb), page_names(okv), offset, emb_names(oemb), outputs, mask)


def make_mask(dice: Random, width: int, rows: int) -> list[list[int]]:
    mask = []
    for _ in range(rows):
        edges = sorted(dice.randint(0, width) for _ in range(dice.randint(0, 5)))
        mask.append([b - a for a, b in zip([0, *edges], edges, strict=False)])
    return mask


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
            max_batch_dists=dice.choice([2, 512]),
            passes_in_flight=dice.choice([1, 1, 2]),
        )
        pages, embs = (12, 18) if self.tight else (400, 800)
        self.world = World(settings, fake_spec(pages, embs, PAGE_SIZE, VOCABULARY, context=64), auto=False)
        self.losing = False
        """Contents were lost."""
        self.exports: NaiveExports = {}
        self.lasting: set[str] = set()
        self.made: set[str] = set()
        """Names that were not only taken: their queue has reached them."""
        self.inferlets = [self.open(0), self.open(1)]

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
        asks = isinstance(command, NextDist | Synchronize)
        self.labels += asks
        label = f"answer {self.labels}"
        completion = self.world.recorder.completion(label) if asks else None
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
        pages, embs = owner.pages, owner.embs
        owner.pages, owner.embs, owner.expected, owner.imported = [], [], {}, set()
        for freed in (FreePages(page_names(pages)), FreeEmbs(emb_names(embs))):
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
        dice, owner = self.dice, self.any_owner()
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
            self.submit(owner, MaskPage(VirtualPage(page), visible))

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
                places = [lease.physical for lease in self.tenant.names[name].leases]
                assert list(map(self.content, places)) == self.exports[name], f"export {name}"
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
        for owner in self.owners:
            if "failed" in owner.inferlet.program.session.describe(owner.queue) or self.has_lost(owner):
                self.begin_anew(owner)
        self.world.run()
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
            place = space.pages.find(page_names([name]))[0].physical
            assert self.content(place) == naive.pages[name], f"page {name}"
        for name in owner.written:
            slot = space.embs.find(emb_names([name]))[0].physical
            assert slot is not None and executor.slots[slot] == naive.embs[name], f"emb {name}"

    def content(self, place: PhysicalPage | None) -> NaivePage:
        """What the driver has there."""
        found = NaivePage.empty(PAGE_SIZE)
        if place is not None:
            page = self.world.executor.pages[place]
            found.tokens = [page.tokens.get(i) for i in range(PAGE_SIZE)]
            found.visible = [bool(page.visible >> i & 1) for i in range(PAGE_SIZE)]
        return found

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


STEPS: dict[Callable[[RandomPrograms], None], float] = {
    RandomPrograms.think: 6,
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


def same(got: object, expected: Dist | None) -> bool:
    if not isinstance(got, Dist) or expected is None:
        return got is expected
    close = all(abs(got.chosen[token] - value) < 1e-5 for token, value in expected.chosen.items())
    return close and (got.tokens, got.probs) == (expected.tokens, expected.probs)
