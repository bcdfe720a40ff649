"""What programs and tenants may use up: who is charged, and what is said when it is too much."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from world import Program, World

from pie.control import ControlSettings
from pie.control.budget import Budget, Spending
from pie.core.errors import LimitExceeded, OutOfResources
from pie.core.ids import InstanceId
from pie.core.programs import Limits, Quota
from pie.testing import fake_spec

PAGES = list(range(9))


def world_with(**settings: Any) -> World:
    spec = fake_spec(200, embs=400, page_size=4, slots=200)
    return World(ControlSettings(**settings), spec, auto=False)


def decode(program: Program, steps: int = 30, label: str = "run") -> None:
    program.alloc(PAGES, [0, 1])
    program.embed([5, 6], [0, 1], [0, 1])
    program.forward([0, 1], [], PAGES[:1], 0, [1])
    program.decode(2, PAGES, steps, label)


def test_a_program_that_has_used_up_its_tokens_is_stopped_with_figures_and_a_remedy() -> None:
    world = world_with()
    program, other = world.program("a", Limits(tokens=10)), world.program("b")
    decode(program, label="limited")
    decode(other, label="free")
    world.run()
    error = world.recorder.error("limited")
    assert isinstance(error, LimitExceeded)
    assert "this program has used 10 of its 10 tokens (tokens): do with less, or" in str(error)
    assert world.recorder["free"].error is None
    assert program.session.usage().tokens <= 12
    with pytest.raises(LimitExceeded, match="10 tokens"):
        program.embed([1], [0], [0])
    program.session.reset(program.queue)
    program.free(PAGES)
    with pytest.raises(LimitExceeded, match="10 tokens"):
        program.embed([1], [0], [0])


def test_time_of_the_device_is_a_budget_too() -> None:
    world = world_with()
    program = world.program("a", Limits(compute_ms=2500))
    decode(program)
    world.run()
    assert "ms of the device's time (compute_ms)" in str(world.recorder.error("run"))


def test_what_a_child_uses_is_charged_to_its_parent_and_its_tenant() -> None:
    world = world_with(quotas={"x": Quota(tokens=1000)})
    parent = world.program("parent", Limits(tokens=20), tenant="x")
    child = world.program("child", Limits(tokens=15), tenant="x")
    child.session.close()
    session = world.control.open(InstanceId("real child"), Limits(tokens=15), "x", parent.session)
    child.session, child.queue = session, session.create_queue("fake")
    decode(child, 5)
    world.run()
    used = session.budget.used.tokens
    assert used > 0
    assert parent.session.budget.used.tokens == used
    assert world.control.tenants.of("x").budget.used.tokens == used
    assert session.budget.left("tokens") == 15 - used
    assert parent.session.budget.left("tokens") == 20 - used


def test_a_tenants_tokens_are_those_of_all_its_programs_and_come_back_with_the_next_period() -> None:
    world = world_with(quotas={"x": Quota(tokens=20)}, quota_seconds=1000.0)
    first, second = world.program("a", tenant="x"), world.program("b", tenant="x")
    decode(first, label="first")
    decode(second, label="second")
    world.run()
    assert "tenant x has used" in str(world.recorder.error("first"))
    tenant = world.control.tenants.of("x")
    assert "wait for the next period of 1000 s" in str(world.recorder.error("first"))
    assert tenant.exhausted.startswith("tenant x has used 2")
    assert 0 < tenant.seconds_left <= 1000
    total = tenant.total().tokens
    world.clock.advance(1000.0)
    assert tenant.exhausted == ""
    assert (tenant.budget.used.tokens, tenant.total().tokens) == (0, total)
    first.session.reset(first.queue)
    first.embed([5, 6], [0, 1], [0, 1])
    first.synchronize("again")
    world.run()
    assert world.recorder["again"].error is None


def test_a_tenants_pages_are_those_of_all_its_programs_together() -> None:
    world = world_with(quotas={"x": Quota(pages=10)})
    first, second = world.program("a", tenant="x"), world.program("b", tenant="x")
    first.alloc(range(6))
    with pytest.raises(LimitExceeded, match=r"6 more pages .* the 10 that tenant x may have .*; 6 are used"):
        second.alloc(range(6))
    second.alloc(range(4))
    first.session.close()
    second.alloc(range(4, 10))
    with pytest.raises(LimitExceeded):
        second.alloc([10])


def test_page_seconds_are_counted_while_nothing_happens() -> None:
    world = world_with()
    program = world.program("a", Limits(page_seconds=100))
    decode(program, 5)
    world.run()
    world.clock.advance(30)
    program.session.charge_pages()
    used = program.session.usage().page_seconds
    assert used >= 30
    assert program.session.budget.used.page_seconds == pytest.approx(used)
    world.clock.advance(100)
    program.session.charge_pages()
    with pytest.raises(LimitExceeded, match="page-seconds"):
        program.session.budget.check("page_seconds")


def test_a_program_without_limits_is_told_that_there_are_none() -> None:
    program = world_with().program("a")
    assert program.session.budget.left("tokens") is None


def test_running_out_of_a_budget_is_no_lack_of_resources() -> None:
    assert not issubclass(LimitExceeded, OutOfResources)


CHARGES = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 9), st.floats(0, 5)), max_size=50)


@given(CHARGES, st.integers(1, 60))
def test_a_budget_has_used_the_sum_of_what_those_below_it_used_and_says_when_it_is_over(
    charges: list[tuple[int, int, float]], most: int
) -> None:
    limit = Spending(*[float("inf")] * 5)
    limit.tokens = most
    top = Budget("top", limit, "")
    middle = Budget("middle", Spending(*[float("inf")] * 5), "", top)
    below = [top, middle, Budget("bottom", Spending(*[float("inf")] * 5), "", middle)]
    for which, tokens, compute in charges:
        over = below[which].charge_pass(tokens, compute)
        assert over == (top.used.tokens >= most)
    assert top.used.tokens == sum(tokens for _, tokens, _ in charges)
    assert middle.used.tokens == sum(tokens for which, tokens, _ in charges if which > 0)
    assert below[2].left("tokens") == max(0, most - top.used.tokens)
