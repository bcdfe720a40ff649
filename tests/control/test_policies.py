"""When a pass is sent."""

from array import array

import pytest
from world import Program, World

from pie.control import ControlSettings
from pie.control.pace import Pace
from pie.core.passes import Pass


def programs(world: World, count: int) -> list[Program]:
    """Each with two tokens in page 1 and embs 0 to 2."""
    made = [world.program(f"p{i}") for i in range(count)]
    for program in made:
        program.prefill([5, 6], [1], f"{program.name} prefill")
    world.run()
    world.passes.clear()
    world.recorder.events.clear()
    return made


def batches(world: World) -> list[int]:
    """How many programs each pass served."""
    return [len(work.dist_slots) for work in world.passes]


def steps(*chosen: Program) -> None:
    for program in chosen:
        program.step(7, 2, [1], program.name)


def test_eager_sends_the_commands_of_one_queue_at_once() -> None:
    world = World(ControlSettings(policy="eager"), auto=False)
    a, b, c = programs(world, 3)
    steps(a)
    world.pump()
    assert batches(world) == [1]
    steps(b, c)
    world.run()
    assert batches(world) == [1, 1, 1]


def test_t_only_waits_its_time_after_the_first_command() -> None:
    world = World(ControlSettings(policy="t-only", t_ms=10), auto=False)
    a, b, c = programs(world, 3)
    steps(a)
    world.pump()
    world.clock.advance(0.009)
    steps(b)
    world.pump()
    assert batches(world) == []
    world.clock.advance(0.0011)
    assert batches(world) == [2]
    steps(c)
    world.pump()
    world.clock.advance(0.5)
    assert batches(world) == [2]
    world.run()
    assert batches(world) == [2, 1]


def test_k_only_sends_when_k_queues_have_work() -> None:
    world = World(ControlSettings(policy="k-only", k=2, k_guard_ms=100), auto=False)
    a, b, _ = programs(world, 3)
    steps(a)
    world.pump()
    assert batches(world) == []
    steps(b)
    world.pump()
    assert batches(world) == [2]


def test_k_only_sends_less_than_k_when_the_guard_time_has_passed() -> None:
    world = World(ControlSettings(policy="k-only", k=8, k_guard_ms=100), auto=False)
    a, b, _ = programs(world, 3)
    steps(a, b)
    world.pump()
    world.clock.advance(0.099)
    assert batches(world) == []
    world.clock.advance(0.0011)
    assert batches(world) == [2]


def adaptive(count: int, idle_share: float = 0.25) -> tuple[World, list[Program]]:
    world = World(ControlSettings(idle_share=idle_share), auto=False)
    made = programs(world, count)
    world.clock.advance(100.0)
    return world, made


def test_adaptive_sends_when_no_program_can_run() -> None:
    world, (a, b) = adaptive(2)
    steps(a, b)
    world.pump()
    assert batches(world) == [2]


def test_adaptive_waits_for_those_who_got_an_answer() -> None:
    world, (a, b) = adaptive(2)
    steps(a, b)
    world.pump()
    world.control.guests_runnable = lambda: 2
    world.clock.advance(1.0)
    steps(a)
    world.pump()
    assert batches(world) == [2]
    steps(b)
    world.pump()
    assert batches(world) == [2, 2]


def test_the_fixed_part_of_a_pass_is_measured() -> None:
    world = World(auto=False, seconds=lambda work: 0.1 + 0.2 * len(work.inputs))
    a, *_ = programs(world, 5)
    steps(a)
    world.run()
    assert world.control._lanes["fake"].planner.pace.fixed() == pytest.approx(0.1)


@pytest.mark.parametrize("known", [[1, 8], [1, 8, 64], [8]])
def test_the_time_of_a_pass_larger_than_any_before_is_expected(known: list[int]) -> None:
    pace = Pace()
    for count in known:
        pace.note(Pass(1, inputs=array("i", range(count))), 0.1 + 0.2 * count)
    expected = pace.expected(Pass(1, inputs=array("i", range(40))))
    assert expected == pytest.approx(0.1 + 0.2 * 40, rel=0.1)


def test_adaptive_splits_programs_that_take_longer_to_come_back_than_a_pass_takes_without_tokens() -> None:
    world = World(auto=False, seconds=lambda work: 0.001 + 0.2 * len(work.inputs))
    made = programs(world, 6)
    steps(made[0])
    world.run()
    steps(*made)
    world.pump()
    world.clock.advance(1.201)
    world.control.guests_runnable = lambda: 1
    for program in made[:3]:
        world.clock.advance(0.004)
        steps(program)
    world.pump()
    assert batches(world) == [1, 6, 3]


def test_a_pass_is_sent_ahead_of_the_one_before_when_that_leaves_nobody_out() -> None:
    world, made = adaptive(3)
    runs = [program.decode(2, [1], 2, program.name) for program in made[:2]]
    world.pump()
    world.clock.advance(0.89)
    assert len(world.passes) == 1, "newcomers may still come along"
    world.clock.advance(0.01)
    assert len(world.passes) == 2
    assert world.driver.in_flight == 2
    world.run()
    assert [len(run.tokens) for run in runs] == [2, 2]


def test_no_pass_is_sent_ahead_while_somebody_in_it_has_an_answer_to_come() -> None:
    world, made = adaptive(3)
    made[0].decode(2, [1], 2, "run")
    steps(made[2])
    world.pump()
    world.clock.advance(0.9)
    assert len(world.passes) == 1
    world.run()


def test_adaptive_does_not_wait_for_programs_that_compute_without_being_asked() -> None:
    world, (a, b) = adaptive(2)
    world.control.guests_runnable = lambda: 1
    steps(a, b)
    world.pump()
    assert batches(world) == [2]
    world.clock.advance(1.0)
    steps(a, b)
    world.pump()
    assert batches(world) == [2, 2]


def test_adaptive_leaves_the_device_idle_for_a_share_of_a_pass_at_most() -> None:
    world, (a, b) = adaptive(2, idle_share=0.25)
    steps(a, b)
    world.pump()
    world.control.guests_runnable = lambda: 1
    world.clock.advance(1.0)
    steps(a)
    world.pump()
    world.clock.advance(0.24)
    assert batches(world) == [2]
    world.clock.advance(0.02)
    assert batches(world) == [2, 1]


def test_adaptive_does_not_wait_for_a_program_that_has_ended() -> None:
    world, (a, b) = adaptive(2)
    steps(a, b)
    world.pump()
    world.control.guests_runnable = lambda: 1
    world.clock.advance(1.0)
    steps(a)
    b.session.close()
    world.pump()
    assert batches(world) == [2, 1]


@pytest.mark.parametrize("policy", ["eager", "k-only", "t-only", "adaptive"])
def test_nothing_waits_for_ever_under_any_policy(policy: str) -> None:
    world = World(ControlSettings(policy=policy, k=100), auto=False)  # type: ignore[arg-type]
    made = programs(world, 3)
    world.control.guests_runnable = lambda: 1
    steps(*made)
    world.run()
    assert sorted(world.recorder.labels) == ["p0", "p1", "p2"]


def test_a_second_pump_plans_no_second_timer() -> None:
    world = World(ControlSettings(policy="t-only"), auto=False)
    (a,) = programs(world, 1)
    steps(a)
    world.pump()
    due = world.clock.next_call()
    world.pump()
    assert world.clock.next_call() == due
    world.run()
    assert batches(world) == [1]
