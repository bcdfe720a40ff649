"""Programs say where their pages should lie, and there they go."""

from test_pressure import PAGES, alone, begin, crowded, held_by, is_suspended
from world import Program, World, page_names


def hint(program: Program, what: str, pages: list[int]) -> str:
    answer: str = program.session.hint(program.queue, what, page_names(pages))  # type: ignore[arg-type]
    return answer


def at_rest() -> tuple[World, Program]:
    world = crowded(20)
    program = begin(world, 0)
    world.run()
    return world, program


def test_demoted_pages_leave_the_device_and_the_next_command_brings_them_back() -> None:
    world, program = at_rest()
    assert hint(program, "demote", PAGES) == "deferred"
    world.run()
    assert is_suspended(program)
    assert world.free_pages == world.spec.pages
    assert hint(program, "demote", PAGES) == "accepted"
    program.dist(1, "again")
    program.forward([0], PAGES, [], 0, [1])
    program.dist(1, "with all pages")
    world.run()
    assert world.recorder["with all pages"].error is None
    assert not is_suspended(program)


def test_what_is_queued_is_executed_before_pages_leave() -> None:
    world = crowded(20)
    program = begin(world, 0)
    assert hint(program, "demote", PAGES) == "deferred"
    world.run()
    assert world.recorder["0"].value == alone(0)
    assert is_suspended(program)


def test_prefetched_pages_come_back_without_a_command() -> None:
    world, program = at_rest()
    hint(program, "demote", PAGES)
    world.run()
    assert hint(program, "prefetch", PAGES) == "deferred"
    world.run()
    assert not is_suspended(program)
    assert hint(program, "prefetch", PAGES) == "accepted"


def test_pages_that_do_not_fit_are_not_prefetched_at_the_cost_of_others() -> None:
    world = crowded(9)
    program = held_by(world, "default", 0)
    hint(program, "demote", PAGES[:4])
    world.run()
    other = held_by(world, "default", 1)
    another = held_by(world, "default", 2)
    assert hint(program, "prefetch", PAGES[:4]) == "deferred"
    world.run()
    assert [is_suspended(one) for one in (program, other, another)] == [True, False, False]


def heard(program: Program, name: str) -> object:
    """What the pages of `held_by` say."""
    program.embed([7], [13], [0])
    program.forward([0], PAGES[:4], [], 0, [13])
    program.dist(13, name)
    program.world.run()
    return program.world.recorder[name].value


def test_pages_that_come_back_leave_no_sooner_than_with_the_next_pass() -> None:
    """In a pass pages leave first: what comes back with it is not there yet."""
    world = crowded(7, idle_ms=0.0)
    programs = []
    for number in range(2):
        program = held_by(world, "default", number)
        before = heard(program, f"{number} before")
        hint(program, "demote", PAGES[:4])
        world.run()
        programs.append(program)
    hint(programs[0], "prefetch", PAGES[:4])
    assert heard(programs[1], "1 after") == before  # it needs its pages: those of the other must go again
    assert not any({*work.swap_outs[::2]} & {*work.swap_ins[1::2]} for work in world.passes)
    assert heard(programs[0], "0 after") == before


def test_a_prefetch_takes_back_a_demotion_that_has_still_to_come() -> None:
    world = crowded(20)
    program = begin(world, 0)
    hint(program, "demote", PAGES)
    hint(program, "prefetch", PAGES)
    world.run()
    assert not is_suspended(program)


def test_single_pages_are_not_demoted_nor_are_any_where_there_is_no_room_for_them() -> None:
    _, program = at_rest()
    assert hint(program, "demote", PAGES[:3]) == "rejected"
    small = crowded(20, host_pages=0)
    program = begin(small, 0)
    small.run()
    assert hint(program, "demote", PAGES) == "rejected"


def test_a_program_that_ends_takes_its_wishes_with_it() -> None:
    world, program = at_rest()
    hint(program, "demote", PAGES)
    program.session.close()
    world.run()
    assert world.control.at_rest
    assert world.free_pages == world.spec.pages
