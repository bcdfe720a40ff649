"""Reference-counted memory."""

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from pie.control.pool import Pool
from pie.core.errors import InternalError, OutOfResources
from pie.core.ids import PhysicalPage


def make_pool(total: int = 4) -> Pool[PhysicalPage]:
    return Pool("page", [PhysicalPage(i) for i in range(total)])


def test_what_is_released_can_be_taken_again_only_after_settling() -> None:
    pool = make_pool(1)
    page = pool.take()
    pool.release(page)
    assert not pool.free
    pool.settle()
    assert pool.take() == page


def test_a_shared_page_is_free_when_the_last_holder_has_released_it() -> None:
    pool = make_pool(1)
    page = pool.take()
    pool.share(page)
    pool.release(page)
    assert pool.held == 1
    pool.release(page)
    assert pool.held == 0


def test_releasing_twice_is_a_bug_of_ours() -> None:
    pool = make_pool()
    page = pool.take()
    pool.release(page)
    with pytest.raises(InternalError, match="more often"):
        pool.release(page)


def test_out_of_pages_says_how_many_there_are_and_what_to_do() -> None:
    pool = make_pool(4)
    pool.take()
    with pytest.raises(OutOfResources, match=r"5 pages are needed, 3 of 4 are free: .*PIE_PAGES"):
        pool.lacks(5)


def test_waiting_is_better_than_failing_while_pages_are_parked() -> None:
    pool = make_pool(1)
    pool.release(pool.take())
    assert pool.lacks(1)
    pool.settle()
    assert not pool.lacks(1)


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        (lambda pool, page: pool.free.append(page), "free twice, or free and held"),
        (lambda pool, _: pool.free.append(pool.free[0]), "free twice, or free and held"),
        (lambda pool, _: pool.free.pop(), "free \\+ held"),
        (lambda pool, page: pool.share(page), "not held as often"),
        (lambda pool, page: pool.release(page), "not held as often"),
    ],
)
def test_the_integrity_check_notices(damage, complaint: str) -> None:  # type: ignore[no-untyped-def]
    pool = make_pool()
    page = pool.take()
    pool.check_integrity([page])
    damage(pool, page)
    with pytest.raises(InternalError, match=complaint):
        pool.check_integrity([page])


class PoolMachine(RuleBasedStateMachine):
    """A pool against a list of who holds what."""

    def __init__(self) -> None:
        super().__init__()
        self.pool = make_pool(5)
        self.held: list[PhysicalPage] = []
        self.parked: set[PhysicalPage] = set()

    @precondition(lambda self: self.pool.free)
    @rule(count=st.integers(1, 5))
    def take(self, count: int) -> None:
        taken = self.pool.take_many(min(count, len(self.pool.free)))
        assert not {*taken} & ({*self.held} | self.parked)
        self.held += taken

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def share(self, data: st.DataObject) -> None:
        page = data.draw(st.sampled_from(self.held))
        self.pool.share(page)
        self.held.append(page)

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        page = data.draw(st.sampled_from(self.held))
        self.pool.release(page)
        self.held.remove(page)
        if page not in self.held:
            self.parked.add(page)

    @rule()
    def settle(self) -> None:
        self.pool.settle()
        self.parked.clear()

    @invariant()
    def adds_up(self) -> None:
        self.pool.check_integrity(self.held)
        assert self.pool.held == len({*self.held})
        assert len(self.pool.free) == 5 - len({*self.held}) - len(self.parked)


TestPool = PoolMachine.TestCase
