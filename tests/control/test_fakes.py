"""The test doubles do what they promise. (What an executor must do is in `tests/contract`.)"""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from world import PAGE_SIZE, World

from pie.core.commands import Dist
from pie.core.errors import Timeout
from pie.core.passes import Pass, PassResult
from pie.testing import (
    FakeDriver,
    FakeExecutor,
    HashedScores,
    InstantExecutor,
    ManualClock,
    Recorder,
    fake_spec,
)

SPEC = fake_spec(page_size=PAGE_SIZE)


def test_planned_calls_are_made_in_order_of_time_and_then_of_planning() -> None:
    clock, made = ManualClock(), []
    for when, name in ((2.0, "late"), (1.0, "early"), (1.0, "early too")):
        clock.call_at(when, lambda name=name: made.append((clock.now(), name)))  # type: ignore[misc]
    clock.advance(1.5)
    assert made == [(1.0, "early"), (1.0, "early too")]
    clock.run_all()
    assert made[-1] == (2.0, "late")


def test_a_cancelled_call_is_not_made() -> None:
    clock, made = ManualClock(), []
    clock.call_at(1.0, lambda: made.append(1)).cancel()
    assert not clock.run_next()
    clock.advance(2.0)
    assert not made


def test_a_call_planned_for_the_past_is_made_now_and_not_at_once() -> None:
    clock, made = ManualClock(start=5.0), []
    clock.call_at(1.0, lambda: made.append(clock.now()))
    assert not made
    clock.advance(0.0)
    assert made == [5.0]


def test_calls_that_plan_calls_for_ever_are_noticed() -> None:
    clock = ManualClock()

    def again() -> None:
        clock.call_at(clock.now() + 1, again)

    again()
    with pytest.raises(RuntimeError, match="still planned after 10"):
        clock.run_all(most=10)


def test_a_recorder_keeps_what_completions_were_told() -> None:
    recorder = Recorder()
    recorder.completion("a").resolve(Dist([1], [1.0], {}, 0.0))
    recorder.completion("b").fail(Timeout("late"))
    assert recorder.labels == ["a", "b"]
    assert recorder.dist("a").tokens == [1]
    assert str(recorder.error("b")) == "late"
    with pytest.raises(Timeout):
        recorder.dist("b")
    with pytest.raises(TypeError, match="a did not fail"):
        recorder.error("a")
    with pytest.raises(KeyError, match="c has not completed"):
        recorder["c"]


def test_a_completion_that_is_called_twice_complains() -> None:
    completion = Recorder().completion("a")
    completion.resolve(None)
    with pytest.raises(RuntimeError, match="called twice"):
        completion.fail(Timeout(""))


@given(hidden=st.integers(-(2**63), 2**63 - 1), vocabulary=st.sampled_from([2, 30, 101, 512]))
def test_hashed_scores_are_a_distribution(hidden: int, vocabulary: int) -> None:
    scores = HashedScores(vocabulary)
    tokens, probs = scores.top(hidden, vocabulary)
    assert sorted(tokens) == list(range(vocabulary))
    assert list(probs) == sorted(probs, reverse=True)
    assert sum(probs) == pytest.approx(1.0)
    for token, prob in zip(tokens, probs, strict=True):
        assert scores.logprob(hidden, token) == pytest.approx(math.log(prob), abs=1e-5)
    assert scores.entropy(hidden) == pytest.approx(-sum(p * math.log(p) for p in probs), abs=1e-5)
    assert scores.top(hidden, 1) == (tokens[:1], probs[:1])


class Log:
    """What a driver calls."""

    def __init__(self, driver: FakeDriver) -> None:
        self.said: list[object] = []
        driver.attach(self.done, self.said.append, lambda: self.said.append("restored"))

    def done(self, result: PassResult) -> None:
        self.said.append(result.error or result.number)


def test_without_a_clock_a_pass_is_answered_at_once() -> None:
    driver = FakeDriver(FakeExecutor(SPEC))
    log = Log(driver)
    driver.submit(Pass(1))
    assert log.said == [1]
    assert (driver.submitted, driver.answered, driver.in_flight) == (1, 1, 0)


def test_with_a_clock_passes_are_answered_one_after_the_other() -> None:
    clock = ManualClock()
    driver = FakeDriver(FakeExecutor(SPEC), clock, lambda work: float(work.number))
    log = Log(driver)
    for number in (1, 2):
        driver.submit(Pass(number))
    clock.advance(2.9)
    assert log.said == [1]
    clock.advance(0.1)
    assert log.said == [1, 2]


def test_a_killed_driver_forgets_what_is_in_flight_and_takes_nothing() -> None:
    clock = ManualClock()
    driver = FakeDriver(FakeExecutor(SPEC), clock)
    log = Log(driver)
    driver.submit(Pass(1))
    driver.kill("out of memory")
    clock.run_all()
    assert log.said == ["out of memory"]
    with pytest.raises(RuntimeError, match="dead driver"):
        driver.submit(Pass(2))
    driver.restore(FakeExecutor(SPEC))
    driver.submit(Pass(3))
    clock.run_all()
    assert log.said == ["out of memory", "restored", 3]


def test_a_pass_can_be_made_to_fail() -> None:
    driver = FakeDriver(FakeExecutor(SPEC))
    log = Log(driver)
    driver.fail_next("trouble")
    for number in (1, 2):
        driver.submit(Pass(number))
    assert log.said == ["trouble", 2]


def test_the_instant_executor_answers_in_the_right_shape() -> None:
    world = World()
    world.driver.kill()
    world.driver.restore(InstantExecutor(world.spec, token=7))
    program = world.program()
    program.prefill([5, 6], [1], "d")
    program.dist(2, "scored", top_k=1, tokens=[3, 4])
    world.pump()
    assert world.recorder.dist("d").tokens[0] == 7
    assert world.recorder.dist("scored").chosen.keys() == {3, 4}
