"""A pass of a high priority is hardly longer for the others in it, and nobody is left out for ever."""

from statistics import fmean

import pytest
from world import Program, World

from pie.control import ControlSettings
from pie.control.settings import Policy
from pie.core.passes import Pass
from pie.testing import fake_spec
from pie.testing.recorder import RecordingListener

STEPS = 60
OTHERS = 32


def seconds(work: Pass) -> float:
    """About what a small model takes on two cores."""
    return 0.007 + 0.001 * len(work.inputs)


def crowd(policy: Policy = "adaptive") -> World:
    spec = fake_spec(pages=4000, embs=4000, page_size=4, slots=200)
    return World(ControlSettings(policy=policy), spec, auto=False, seconds=seconds)


def decoding(world: World, name: str, priority: int = 0, tenant: str = "default") -> RecordingListener:
    """A prompt of one token, and a run behind it."""
    program = world.program(name, tenant=tenant)
    program.session.set_priority(program.queue, priority)
    program.alloc(range(STEPS), [0, 1])
    program.embed([5], [0], [1])
    program.forward([1], [], [0], 0, [1])
    return program.decode(1, range(STEPS), STEPS, name)


def seconds_a_token(world: World, listener: RecordingListener) -> float:
    began = world.clock.now()
    while len(listener.tokens) < STEPS:
        world.pump()
        assert world.clock.run_next()
    return (world.clock.now() - began) / STEPS


def alone() -> float:
    world = crowd()
    return seconds_a_token(world, decoding(world, "alone", 1))


def test_many_of_a_low_priority_hardly_slow_down_one_of_a_high() -> None:
    world = crowd()
    others = [decoding(world, str(number)) for number in range(OTHERS)]
    world.pump()
    world.clock.advance(0.01)
    assert seconds_a_token(world, decoding(world, "high", 1)) < 1.3 * alone()
    assert all(other.tokens for other in others), "each went on meanwhile"


def test_those_of_a_low_priority_go_together_when_nobody_is_above_them() -> None:
    world = crowd()
    others = [decoding(world, str(number)) for number in range(OTHERS)]
    decoding(world, "high", 1)
    world.run()
    assert all(len(other.tokens) == STEPS for other in others)
    assert fmean(len(work.inputs) for work in world.passes[-STEPS // 2 :]) > OTHERS / 2


def test_another_tenants_priorities_leave_nobody_out() -> None:
    world = crowd()
    mine = [decoding(world, f"mine {number}", tenant="mine") for number in range(4)]
    yours = decoding(world, "yours", 9, tenant="yours")
    seconds_a_token(world, yours)
    # Three of the four go along in each pass, or it would take too long for "yours" (decision 29).
    assert min(len(each.tokens) for each in mine) > 0.7 * STEPS


@pytest.mark.parametrize("policy", ["adaptive", "t-only", "k-only", "eager"])
def test_a_prompt_of_a_low_priority_is_read_in_the_end(policy: Policy) -> None:
    world = crowd(policy)
    high = decoding(world, "high", 1)
    low: Program = world.program("low")
    low.prefill(range(40), range(10), "low")
    while "low" not in world.recorder.labels:
        world.pump()
        assert world.clock.run_next()
    assert len(high.tokens) < STEPS
