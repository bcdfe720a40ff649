"""Virtual ids."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pie.control.addresses import Meter, NameTable
from pie.core.errors import InvalidArgument, LimitExceeded, UnknownId
from pie.core.ids import PhysicalPage, VirtualPage

Table = NameTable[VirtualPage, PhysicalPage]


def names(*values: int) -> list[VirtualPage]:
    return [VirtualPage(value) for value in values]


@pytest.fixture
def table() -> Table:
    return NameTable("page", "alloc_kvpage", limit=8)


def test_a_name_stands_for_the_same_lease_until_it_is_freed(table: Table) -> None:
    (lease,) = table.add(names(7))
    assert table.find(names(7, 7)) == [lease, lease]
    table.remove(names(7))
    assert table.add(names(7)) != [lease]


def test_an_unknown_name_is_named_with_the_remedy(table: Table) -> None:
    with pytest.raises(UnknownId, match="page 7 was never allocated: alloc_kvpage first"):
        table.find(names(7))


def test_a_freed_name_is_told_apart_from_one_never_allocated(table: Table) -> None:
    table.add(names(7))
    table.remove(names(7))
    with pytest.raises(UnknownId, match="page 7 was freed"):
        table.find(names(7))


def test_freeing_twice_is_an_error(table: Table) -> None:
    table.add(names(7))
    table.remove(names(7))
    with pytest.raises(UnknownId, match="page 7 was freed"):
        table.remove(names(7))


def test_an_allocated_name_cannot_be_allocated_again(table: Table) -> None:
    table.add(names(7))
    with pytest.raises(InvalidArgument, match="page 7 is allocated already: free it first"):
        table.add(names(6, 7))
    assert list(table.leases) == [7]


def test_a_name_may_stand_only_once_in_a_list(table: Table) -> None:
    with pytest.raises(InvalidArgument, match="page 3 is named twice"):
        table.add(names(3, 4, 3))
    table.add(names(3))
    with pytest.raises(InvalidArgument, match="page 3 is named twice"):
        table.remove(names(3, 3))
    assert list(table.leases) == [3]


def test_a_list_with_one_bad_name_frees_nothing(table: Table) -> None:
    table.add(names(1))
    with pytest.raises(UnknownId, match="page 2"):
        table.remove(names(1, 2))
    assert list(table.leases) == [1]


def test_names_are_32_bit_numbers(table: Table) -> None:
    table.add(names(0, 2**32 - 1))
    for wrong in (-1, 2**32):
        with pytest.raises(InvalidArgument, match="between 0 and 4294967295"):
            table.add(names(wrong))


def test_a_program_cannot_have_more_names_than_the_limit(table: Table) -> None:
    table.add(names(*range(8)))
    with pytest.raises(LimitExceeded, match="1 more pages would be more than the 8"):
        table.add(names(8))


@given(st.lists(st.tuples(st.floats(0, 10), st.integers(-3, 5)), max_size=20))
def test_a_meter_adds_up_what_was_held_times_how_long(changes: list[tuple[float, int]]) -> None:
    meter, now, area, held = Meter(), 0.0, 0.0, 0
    for pause, amount in changes:
        now, area = now + pause, area + held * pause
        meter.change(amount, now)
        held += amount
    assert meter.held == held
    assert meter.area(now) == pytest.approx(area)
