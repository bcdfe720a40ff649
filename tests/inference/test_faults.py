"""The faults themselves: they strike when told, once, and are counted."""

import math

import pytest

from pie.core.passes import Pass
from pie.inference.faults import FaultInjected, FaultPlan, FaultyExecutor, alter
from pie.inference.wire import Fault
from pie.testing import FakeExecutor, fake_spec
from pie.testing.passes import PassBuilder


def faulty(plan: FaultPlan) -> FaultyExecutor:
    return FaultyExecutor(lambda: FakeExecutor(fake_spec()), plan)


def question() -> Pass:
    return PassBuilder(5).embed([9], [0], [0]).dist(0, tokens=[1]).build()


def test_a_fault_strikes_at_its_pass_only_and_is_counted() -> None:
    plan = FaultPlan([Fault("raise", 2)])
    executor = faulty(plan)
    assert executor.execute(question()).error == ""
    with pytest.raises(FaultInjected):
        executor.execute(question())
    assert executor.execute(question()).error == ""
    assert plan.fired == {"raise": 1}


def test_a_fault_at_zero_strikes_at_the_start() -> None:
    with pytest.raises(FaultInjected):
        faulty(FaultPlan([Fault("raise", 0)]))


def test_nan_replaces_every_number_of_an_answer() -> None:
    result = faulty(FaultPlan([Fault("nan", 1)])).execute(question())
    numbers = [*result.top_probs, *result.chosen_logprobs, *result.entropies]
    assert numbers
    assert all(map(math.isnan, numbers))
    assert result.number == 5


def test_a_fault_that_is_not_due_does_not_fire() -> None:
    plan = FaultPlan([Fault("kill", 3)])
    faulty(plan).execute(question())
    assert not plan.fired


def test_messages_are_lost_doubled_or_cut() -> None:
    assert alter(b"1234", "lose") == []
    assert alter(b"1234", "twice") == [b"1234", b"1234"]
    assert alter(b"1234", "truncate") == [b"12"]
