"""More programs than pages: who is suspended, who goes on, and that nobody can tell from the answers."""

from typing import Any

import pytest
from world import Program, World, page_names

from pie.control import ControlSettings
from pie.control.leases import Absence
from pie.control.settings import Policy
from pie.core.commands import ExportPages
from pie.core.errors import OutOfResources
from pie.core.ids import InstanceId
from pie.testing import fake_spec

STEPS = 30
PAGES = list(range(9))
"""What one program needs in the end: 2 + 30 tokens, four a page."""


def crowded(pages: int, host_pages: int = 1000, **settings: Any) -> World:
    spec = fake_spec(pages, embs=400, page_size=4, slots=200, host_pages=host_pages)
    return World(ControlSettings(**settings), spec, auto=False)


class Crowd:
    """Programs that each decode a run, and end when it has ended."""

    def __init__(self, world: World, count: int) -> None:
        self.world = world
        self.running = {str(number): begin(world, number) for number in range(count)}
        self.tokens: dict[str, object] = {}
        self.finished: list[str] = []

    def run(self, most: int = 5000) -> None:
        for _ in range(most):
            self.world.pump()
            if not self.running:
                return
            self.world.clock.advance(0.5)
            for event in self.world.recorder.events[len(self.finished) :]:
                assert event.error is None, event.error
                self.tokens[event.label] = event.value
                self.finished.append(event.label)
                self.running.pop(event.label).session.close()
        raise AssertionError(f"{list(self.running)} have not ended")


def begin(world: World, number: int) -> Program:
    """Two tokens in the first page, and a run of decoding behind them."""
    program = world.program(str(number))
    program.alloc(PAGES, [0, 1])
    program.embed([5 + number, 6], [0, 1], [0, 1])
    program.forward([0, 1], [], PAGES[:1], 0, [1])
    program.decode(2, PAGES, STEPS, program.name)
    return program


def alone(number: int) -> object:
    world = crowded(100, 0)
    begin(world, number)
    world.run()
    return world.recorder[str(number)].value


def suspensions(world: World) -> int:
    return world.control._lanes["fake"].planner.pressure.suspensions


@pytest.mark.parametrize("policy", ["adaptive", "t-only", "k-only", "eager"])
@pytest.mark.parametrize("demand", [1, 2, 4, 8])
def test_at_a_multiple_of_the_capacity_all_finish_with_the_tokens_they_give_alone(
    demand: int, policy: Policy
) -> None:
    count = 16
    world = crowded(count * len(PAGES) // demand, policy=policy)
    crowd = Crowd(world, count)
    crowd.run()
    assert crowd.tokens == {str(number): alone(number) for number in range(count)}
    assert (suspensions(world) > 0) == (demand > 1)
    assert world.free_pages == world.spec.pages
    assert world.control.statistics().models["fake"].pages.swapped == 0


def test_the_oldest_program_is_never_suspended() -> None:
    world = crowded(len(PAGES) + 1)
    crowd = Crowd(world, 6)
    crowd.run()
    assert crowd.finished[0] == "0"


def test_a_higher_priority_goes_before_age() -> None:
    world = crowded(len(PAGES) + 1)
    crowd = Crowd(world, 4)
    last = crowd.running["3"]
    last.session.set_priority(last.queue, 1)
    crowd.run()
    assert crowd.finished[0] == "3"


def test_without_host_memory_a_program_that_finds_no_page_fails_at_once() -> None:
    world = crowded(len(PAGES) + 1, host_pages=0)
    for number in range(3):
        begin(world, number)
    world.run()
    assert isinstance(world.recorder.error("2"), OutOfResources)


def test_more_than_there_is_at_all_is_an_error_at_once() -> None:
    world = crowded(len(PAGES) - 2)
    begin(world, 0)
    world.run()
    assert "free some" in str(world.recorder.error("0"))


def test_a_program_that_waits_for_something_else_gives_its_pages_to_younger_ones_and_gets_them_back() -> None:
    world = crowded(len(PAGES))
    idle = begin(world, 0)
    world.run()
    world.recorder.events.clear()
    younger = begin(world, 1)
    world.run()
    assert world.recorder["1"].value == alone(1)
    younger.session.close()
    idle.dist(1, "again")
    world.run()
    assert world.recorder["again"].error is None
    assert suspensions(world) == 1


def test_a_program_that_has_asked_for_its_pages_to_be_retained_is_suspended_last() -> None:
    world = crowded(2 * len(PAGES))
    first, second = begin(world, 0), begin(world, 1)
    world.run()
    assert first.session.hint(first.queue, "retain", page_names(PAGES), 3_600_000) == "accepted"
    begin(world, 2)
    world.run()
    (kept,), (moved,) = first.session._spaces.values(), second.session._spaces.values()
    assert (kept.suspended, moved.suspended) == (False, True)


def test_a_program_that_ends_while_it_is_suspended_gives_everything_back() -> None:
    world = crowded(len(PAGES))
    idle = begin(world, 0)
    world.run()
    begin(world, 1)
    world.run()
    assert world.control.statistics().models["fake"].pages.swapped > 0
    idle.session.close()
    world.control.check_integrity()
    assert world.control.statistics().models["fake"].pages.swapped == 0


def test_a_suspended_program_may_give_pages_back_while_there_is_no_room_for_it() -> None:
    world = crowded(len(PAGES))
    idle = begin(world, 0)
    world.run()
    begin(world, 1)
    world.run()
    idle.free(PAGES[2:])
    world.run()
    statistics = world.control.statistics().models["fake"]
    assert (statistics.pages.swapped, suspensions(world)) == (2, 1)


def test_what_was_suspended_is_lost_with_the_driver_and_the_program_is_told() -> None:
    world = crowded(len(PAGES))
    idle = begin(world, 0)
    world.run()
    begin(world, 1)
    world.run()
    world.driver.kill()
    world.restore()
    idle.session.reset(idle.queue)
    idle.dist(1, "lost")
    world.run()
    assert "lost" in str(world.recorder.error("lost"))


def test_a_pass_that_fails_loses_what_it_was_to_bring_to_host_memory() -> None:
    world = crowded(len(PAGES))
    idle = begin(world, 0)
    world.run()
    younger = begin(world, 1)
    while not (world.driver._waiting and world.driver._waiting[0].swap_outs):
        world.pump()
        world.clock.advance(0.25)
    world.driver.fail_next("trouble")
    world.run()
    younger.session.close()
    world.control.check_integrity()
    (space,) = idle.session._spaces.values()
    lost = [lease for lease in space.pages.leases.values() if lease.absence is Absence.LOST]
    assert lost
    idle.forward([0], [lost[0].name], [], 0, [1])
    idle.dist(1, "after")
    world.run()
    assert "lost" in str(world.recorder.error("after"))
    idle.session.close()
    world.control.check_integrity()
    assert world.free_pages == world.spec.pages


def test_a_command_does_not_wait_for_pages_for_ever() -> None:
    """The others hold what they share with exports, which cannot be moved, and never end."""
    world = crowded(len(PAGES), starve_seconds=5.0)
    first = begin(world, 0)
    world.run()
    first.submit(ExportPages(page_names(PAGES[:8]), "kept", None, 0, b""))
    world.run()
    begin(world, 1)
    world.run()
    assert isinstance(world.recorder.error("1"), OutOfResources)


def listen(program: Program) -> str:
    """It wants to be told; the label of what it is told."""
    label = f"{program.name} told"
    program.session.on_pressure(program.queue, program.world.recorder.completion(label))
    return label


def test_a_program_that_wants_to_is_told_and_keeps_what_it_does_not_give_back() -> None:
    world = crowded(2 * len(PAGES))
    first, second = begin(world, 0), begin(world, 1)
    world.run()
    told = listen(first)
    second.session.close()
    others = [begin(world, number) for number in (2, 3)]
    while told not in {event.label for event in world.recorder.events}:
        world.pump()
        world.clock.advance(0.01)
    assert world.recorder[told].value >= 1  # type: ignore[operator]
    first.free(PAGES[2:])
    world.run()
    assert [world.recorder[other.name].error for other in others] == [None, None]
    assert [world.recorder[other.name].value for other in others] == [alone(2), alone(3)]


def test_a_program_that_is_told_and_gives_nothing_back_is_suspended_after_its_moment() -> None:
    world = crowded(len(PAGES))
    idle = begin(world, 0)
    world.run()
    told = listen(idle)
    begin(world, 1)
    world.run()
    assert world.recorder[told].value == 1
    assert world.recorder["1"].value == alone(1)
    assert suspensions(world) == 1


def test_asking_again_and_again_does_not_keep_pages() -> None:
    world = crowded(len(PAGES))
    idle = begin(world, 0)
    world.run()
    begin(world, 1)
    told = listen(idle)
    for _ in range(100):
        world.pump()
        world.clock.advance(0.05)
        if told in {event.label for event in world.recorder.events}:
            world.recorder.events[:] = [one for one in world.recorder.events if one.label != told]
            listen(idle)
    world.run()
    assert world.recorder["1"].value == alone(1)


def test_without_host_memory_who_is_told_can_still_give_pages_back() -> None:
    world = crowded(len(PAGES), host_pages=0)
    idle = begin(world, 0)
    world.run()
    told = listen(idle)
    begin(world, 1)
    while told not in {event.label for event in world.recorder.events}:
        world.pump()
        world.clock.advance(0.01)
    idle.free(PAGES)
    world.run()
    assert world.recorder["1"].value == alone(1)


def test_without_host_memory_and_with_nothing_given_back_the_error_comes_after_that_moment() -> None:
    world = crowded(len(PAGES), host_pages=0)
    idle = begin(world, 0)
    world.run()
    listen(idle)
    begin(world, 1)
    world.run()
    assert isinstance(world.recorder.error("1"), OutOfResources)


def test_who_ends_or_does_not_want_to_be_told_any_more_is_not() -> None:
    world = crowded(len(PAGES))
    idle = begin(world, 0)
    world.run()
    completion = world.recorder.completion("told")
    idle.session.on_pressure(idle.queue, completion)
    idle.session.ignore_pressure(idle.queue, completion)
    begin(world, 1)
    world.run()
    assert "told" not in {event.label for event in world.recorder.events}
    assert world.control.statistics().models["fake"].notices == 0


def test_when_host_memory_is_full_programs_wait_for_those_that_go_on() -> None:
    """There is no error as long as somebody gets on."""
    world = crowded(len(PAGES) + 1, host_pages=4)
    held_by(world, "default", 1)
    first = begin(world, 0)
    world.pump()
    world.clock.advance(24.0)
    begin(world, 1)
    while "0" not in world.recorder.labels:
        world.pump()
        world.clock.advance(0.5)
    first.session.close()
    world.run()
    assert [world.recorder[str(number)].value for number in range(2)] == [alone(0), alone(1)]


def test_when_all_who_hold_pages_wait_for_more_only_the_lowest_in_rank_gives_up() -> None:
    world = crowded(len(PAGES), host_pages=1)
    begin(world, 0)
    begin(world, 1)
    while not world.recorder.labels:
        world.pump()
        world.clock.advance(0.1)
    assert isinstance(world.recorder.error("1"), OutOfResources)
    world.clock.advance(30.0)
    assert "0" not in world.recorder.labels
    world.control._sessions[InstanceId("1")].close()
    world.run()
    assert world.recorder["0"].value == alone(0)


def held_by(world: World, tenant: str, number: int) -> Program:
    """A program with pages in which something is written, that asks for nothing more."""
    program = world.program(f"{tenant} {number}", tenant=tenant)
    program.alloc(PAGES[:4], range(17))
    program.embed([1] * 13, range(13), range(13))
    program.forward(range(13), [], PAGES[:4], 0, [13])
    world.run()
    return program


def is_suspended(program: Program) -> bool:
    (space,) = program.session._spaces.values()
    return space.suspended


def test_a_tenant_above_its_share_gives_pages_before_others_do() -> None:
    world = crowded(16)
    quiet = held_by(world, "quiet", 0)
    flood = [held_by(world, "flood", number) for number in range(3)]
    quiet_again = world.program("quiet again", tenant="quiet")
    quiet_again.prefill([1, 2, 3], [0], "answer")
    world.run()
    assert not is_suspended(quiet)
    assert [is_suspended(program) for program in flood].count(True) == 1


def test_of_the_idle_the_one_that_is_cheapest_to_bring_back_is_suspended() -> None:
    world = crowded(10)
    small = world.program("small")
    small.prefill([1, 2, 3], [0], "small")
    world.run()
    large = held_by(world, "default", 1)
    another = held_by(world, "default", 2)
    late = world.program("late")
    late.prefill([1] * 6, [0, 1], "late")
    world.run()
    assert [is_suspended(one) for one in (small, large, another)] == [True, False, False]
