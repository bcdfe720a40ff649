"""A long forward is split over passes, between which others decode, and no program can tell."""

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st
from world import PAGE_SIZE, Program, World, all_back

from pie.control import ControlSettings
from pie.testing import fake_spec

WHOLE = 1 << 20
PAGES = 8


def widths(world: World) -> list[int]:
    return [len(work.inputs) for work in world.passes]


def test_a_long_prompt_is_read_in_pieces_within_the_budget() -> None:
    world = World(ControlSettings(prefill_tokens=8), auto=False)
    world.program().prefill(range(19), range(5), "end")
    world.run()
    assert widths(world) == [8, 8, 3]


def test_others_decode_in_the_passes_between_its_pieces() -> None:
    world = World(ControlSettings(prefill_tokens=8), auto=False)
    decoder, reader = world.program("decoder"), world.program("reader")
    decoder.prefill([1], [0], "begun")
    world.run()
    reader.prefill(range(30), range(8), "read")
    for i in range(3):
        decoder.step(7, 1 + i, [0], f"step {i}")
    world.recorder.events.clear()
    world.run()
    assert world.recorder.labels == ["step 0", "step 1", "step 2", "read"]
    assert max(widths(world)) <= 9


def test_short_prompts_of_one_tenant_go_together() -> None:
    world = World(ControlSettings(prefill_tokens=8), auto=False)
    for name in "abc":
        world.program(name).prefill(range(8), [0, 1], name)
    world.run()
    assert widths(world) == [24]


def test_prompts_of_several_tenants_share_the_budget_one_after_the_other() -> None:
    world = World(ControlSettings(prefill_tokens=8), auto=False)
    for name in "abc":
        world.program(name, tenant=name).prefill(range(8), [0, 1], name)
    world.run()
    assert widths(world) == [8, 8, 8]


def test_where_somebody_of_a_higher_priority_is_there_prompts_share_the_budget() -> None:
    world = World(ControlSettings(prefill_tokens=8), auto=False)
    urgent = world.program("urgent")
    urgent.session.set_priority(urgent.queue, 1)
    for name in "abc":
        world.program(name).prefill(range(8), [0, 1], name)
    world.run()
    assert widths(world) == [8, 8, 8]


def test_a_little_more_than_the_budget_goes_in_one_piece() -> None:
    world = World(ControlSettings(prefill_tokens=8), auto=False)
    world.program().prefill(range(10), range(3), "end")
    world.run()
    assert widths(world) == [10]


def test_short_prompts_do_not_take_a_long_ones_share() -> None:
    world = World(ControlSettings(prefill_tokens=8), auto=False)
    world.program("long").prefill(range(30), range(8), "long")
    for name in "ab":
        world.program(name).prefill(range(6), [0, 1], name)
    world.run()
    assert widths(world)[0] == 8 + 6 + 6


def test_what_a_split_would_change_is_not_split() -> None:
    """A mask; inputs that are not stored; positions that do not ascend."""
    for case in ("mask", "not stored", "positions"):
        world = World(ControlSettings(prefill_tokens=8), auto=False)
        program = world.program()
        program.alloc(range(3), range(13))
        program.embed(range(12), [0] * 12 if case == "positions" else range(12), range(12))
        okv = () if case == "not stored" else range(3)
        mask = [[0, 12]] * 12 if case == "mask" else None
        program.forward(range(12), (), okv, 0, [12], mask=mask)
        program.dist(12, "end")
        world.run()
        assert widths(world) == [12], case


def test_a_program_that_ends_between_two_pieces_gives_everything_back() -> None:
    world = World(ControlSettings(prefill_tokens=8, passes_in_flight=1), auto=False)
    program = world.program()
    program.prefill(range(30), range(8), "never")
    world.pump()
    assert widths(world) == [8]
    assert all_back(program.session, world)


def story(seed: int, prefill_tokens: int) -> list[object]:
    """Answers of a few programs that read long texts in random ways, and decode in between."""
    dice = Random(seed)
    spec = fake_spec(pages=40, embs=200, page_size=PAGE_SIZE)
    world = World(ControlSettings(prefill_tokens=prefill_tokens), spec, auto=False)
    for name in "abc":
        program = world.program(name)
        program.alloc(range(PAGES), range(30))
        stored = 0
        for step in range(dice.randint(1, 4)):
            count = min(dice.randint(1, 20), PAGES * PAGE_SIZE - stored)
            if count < 1:
                break
            stored = dice.choice((stored, stored, max(0, stored - 3)))  # sometimes over what is there
            read_piece(program, dice, stored, count, f"{name}{step}")
            stored += count
    world.run()
    found = {label: world.recorder.dist(label) for label in world.recorder.labels}
    return sorted(found.items(), key=lambda item: item[0])


def read_piece(program: Program, dice: Random, start: int, count: int, label: str) -> None:
    tokens = [dice.randrange(100) for _ in range(count)]
    stride = dice.choice((1, 1, 1, 0))
    program.embed(tokens, [start + stride * i for i in range(count)], range(count))
    first = start // PAGE_SIZE
    seen = range(dice.choice((first, -(-start // PAGE_SIZE), PAGES)))
    wanted = dice.sample(range(count), min(count, dice.randint(1, 3)))
    written = range(first, -(-(start + count) // PAGE_SIZE))
    outputs = range(25, 25 + len(wanted))
    program.forward(range(count), seen, written, start % PAGE_SIZE, outputs, wanted)
    for row, emb in enumerate(outputs):
        program.dist(emb, f"{label} {row}")


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), budget=st.integers(PAGE_SIZE, 12))
def test_no_program_can_tell_whether_its_forwards_were_split(seed: int, budget: int) -> None:
    assert story(seed, budget) == story(seed, WHOLE)
