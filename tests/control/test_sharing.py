"""Tenants share passes by their weights, within a priority."""

from collections import Counter
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from world import Program, World

from pie.control import ControlSettings
from pie.testing import fake_spec

LONG = 10_000


class Room:
    """Programs that want more than passes can carry, each of a tenant, and what each tenant has got."""

    def __init__(self, **options: object) -> None:
        spec = fake_spec(4000, embs=4000, page_size=4, slots=400)
        chosen = ControlSettings(**{"max_batch_tokens": 4, "patience": 10**6, **options})  # type: ignore[arg-type]
        self.world = World(chosen, spec, auto=False, seconds=lambda work: self.seconds(len(work.inputs)))
        self.seconds: Callable[[int], float] = lambda _: 1.0
        """Of a pass with so many inputs."""
        self.got: Counter[str] = Counter()
        self.programs: list[tuple[Program, str]] = []

    def add(self, tenant: str, priority: int = 0) -> Program:
        """One that decodes on and on."""
        program = self.world.program(f"{tenant} {len(self.programs)}", tenant=tenant)
        program.session.set_priority(program.queue, priority)
        self.programs.append((program, tenant))
        self.resume(program)
        return program

    def resume(self, program: Program) -> None:
        pages = list(range(100))
        program.alloc(pages, [0, 1])
        program.embed([5], [0], [0])
        program.forward([0], [], pages[:1], 0, [1])
        program.decode(1, pages, 300, program.name)

    def passes(self, count: int) -> dict[str, int]:
        """Tokens that each tenant gets in so many passes."""
        before = self.tokens()
        sent = len(self.world.passes)
        while len(self.world.passes) < sent + count:
            self.world.pump()
            self.world.clock.advance(0.5)
        after = self.tokens()
        return {tenant: after[tenant] - before[tenant] for tenant in after}

    def tokens(self) -> Counter[str]:
        found: Counter[str] = Counter()
        for program, tenant in self.programs:
            found[tenant] += program.session.usage().tokens
        return found


def test_two_tenants_get_the_same_however_many_programs_each_has() -> None:
    room = Room()
    for _ in range(12):
        room.add("flood")
    for _ in range(3):
        room.add("quiet")
    got = room.passes(100)
    assert got["quiet"] == pytest.approx(got["flood"], rel=0.05)


def test_a_tenant_with_twice_the_weight_gets_twice_as_much() -> None:
    room = Room(weights={"big": 2.0})
    for _ in range(8):
        room.add("big")
        room.add("small")
    got = room.passes(150)
    assert got["big"] == pytest.approx(2 * got["small"], rel=0.05)


def test_what_a_tenant_cannot_use_goes_to_the_others() -> None:
    """One program can use one token of four in a pass."""
    room = Room()
    room.add("quiet")
    for _ in range(10):
        room.add("flood")
    got = room.passes(100)
    assert got["quiet"] == pytest.approx(100, abs=3)
    assert sum(got.values()) == pytest.approx(400, abs=12)


def rate(room: Room, tenant: str, passes: int) -> float:
    """Tokens of a tenant in a second."""
    before, began = room.tokens()[tenant], room.world.clock.now()
    for _ in range(passes):
        room.world.pump()
        room.world.clock.run_next()
    return (room.tokens()[tenant] - before) / (room.world.clock.now() - began)


@pytest.mark.parametrize(("weight", "least"), [(1.0, 0.5), (3.0, 0.75)])
def test_a_flood_slows_a_tenant_down_by_no_more_than_its_share_allows(weight: float, least: float) -> None:
    """Passes take as long as those of a real model: 9 ms for one input, 118 for 128."""
    room = Room(max_batch_tokens=2048, weights={"quiet": weight})
    room.seconds = lambda inputs: 0.009 + 0.00085 * inputs
    for _ in range(2):
        room.add("quiet")
    alone = rate(room, "quiet", 60)
    for _ in range(60):
        room.add("flood")
    rate(room, "quiet", 60)  # prompts are read, and sizes become known
    assert rate(room, "quiet", 60) > least * alone
    assert rate(room, "flood", 60) > 0.05 * 60 / room.seconds(60)  # which still gets on


def test_a_tenant_alone_gets_everything() -> None:
    room = Room()
    for _ in range(10):
        room.add("flood")
    assert room.passes(100)["flood"] == pytest.approx(400, abs=12)


def test_a_tenant_that_comes_back_from_idleness_has_no_credit() -> None:
    room = Room()
    for _ in range(8):
        room.add("here")
    room.add("away").session.close()
    room.programs.pop()
    room.passes(200)
    for _ in range(8):
        room.add("away")
    got = room.passes(60)
    assert got["away"] == pytest.approx(got["here"], rel=0.1)


def test_tenants_share_within_a_priority_and_a_higher_one_goes_first() -> None:
    room = Room()
    for _ in range(8):
        room.add("low")
        room.add("high", priority=1)
    got = room.passes(50)
    assert got["high"] > 20 * got["low"]


def test_a_lower_priority_is_not_left_out_for_ever() -> None:
    room = Room(patience=8)
    for _ in range(8):
        room.add("high", priority=1)
    room.add("low")
    assert room.passes(100)["low"] > 8


def test_overdue_queues_of_a_flood_do_not_go_before_a_quiet_tenant() -> None:
    room = Room(patience=2)
    for _ in range(40):
        room.add("flood")
    room.passes(30)
    for _ in range(2):
        room.add("quiet")
    assert room.passes(50)["quiet"] == pytest.approx(100, abs=6)


def ask(world: World, name: str, tenant: str) -> None:
    """A prompt of sixteen tokens."""
    program = world.program(name, tenant=tenant)
    program.alloc(range(4), range(17))
    program.embed([5] * 16, list(range(16)), list(range(16)))
    program.forward(list(range(16)), [], list(range(4)), 0, [16])
    program.dist(16, name)


def test_prompts_of_a_flood_do_not_hold_up_a_quiet_tenants_prompt() -> None:
    """Prompts may take sixteen tokens of a pass; the flood has sixty of them before it."""
    spec = fake_spec(4000, embs=4000, page_size=4, slots=400)
    world = World(ControlSettings(prefill_tokens=16, patience=10**6), spec, auto=False)
    ask(world, "known", "quiet")
    world.run()
    for number in range(60):
        ask(world, f"flood {number}", "flood")
    world.pump()
    world.clock.advance(1.0)
    ask(world, "quiet", "quiet")
    world.run()
    answered = [event.label for event in world.recorder.events]
    assert answered.index("quiet") < 7


WEIGHTS = st.sampled_from([0.5, 1.0, 2.0, 4.0])


@given(
    st.lists(st.tuples(st.integers(1, 12), WEIGHTS), min_size=1, max_size=4),
    st.integers(1, 9),
    st.integers(20, 60),
)
@settings(max_examples=25, deadline=None)
def test_each_tenant_gets_its_weighted_share_of_what_all_want(
    tenants: list[tuple[int, float]], width: int, passes: int
) -> None:
    """Max-min fairness: nobody gets less than its share, or than it wants, whichever is less."""
    weights = {str(number): weight for number, (_, weight) in enumerate(tenants)}
    room = Room(max_batch_tokens=width, weights=weights)
    for number, (count, _) in enumerate(tenants):
        for _ in range(count):
            room.add(str(number))
    got = room.passes(passes)
    for number, (count, weight) in enumerate(tenants):
        share = passes * width * weight / sum(weights.values())
        wanted = passes * count
        slack = 4 * width + 4 * weight / min(weights.values())
        assert got[str(number)] >= min(share, wanted) - slack
    total = min(passes * width, passes * sum(count for count, _ in tenants))
    assert sum(got.values()) >= total - 4 * width


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 2)), min_size=1, max_size=12), st.data())
@settings(max_examples=25, deadline=None)
def test_the_same_stimuli_lead_to_the_same_passes(
    programs: list[tuple[str, int]], data: st.DataObject
) -> None:
    weight = data.draw(WEIGHTS)

    def once() -> list[list[int]]:
        room = Room(weights={"a": weight})
        for tenant, priority in programs:
            room.add(tenant, priority)
        room.passes(20)
        return [list(work.inputs) for work in room.world.passes]

    assert once() == once()
