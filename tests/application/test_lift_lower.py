"""What is written as a component value is read back as it was."""

import ctypes
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pie.application import abi
from pie.application.lift import MOST_ITEMS, SHORT_LIST, lift
from pie.application.lower import lower, refuse
from pie.application.stage import Stage
from pie.application.types import (
    EnumOf,
    ListOf,
    OptionOf,
    RecordOf,
    ResultOf,
    Scalar,
    TupleOf,
    Type,
    VariantOf,
)
from pie.core.errors import LimitExceeded

STAGE = Stage()
RANGES = {
    f"{sign}{bits}": ((0, 2**bits - 1) if sign == "u" else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1))
    for sign in "us"
    for bits in (8, 16, 32, 64)
}


class Value:
    """Room for one value, freed at the end."""

    def __init__(self) -> None:
        self._room = (ctypes.c_uint64 * 4)()
        self.address = ctypes.addressof(self._room)

    def __enter__(self) -> int:
        return self.address

    def __exit__(self, *exc: object) -> None:
        abi.val_delete(self.address)


def there_and_back(type: Type, value: Any) -> Any:
    with Value() as address:
        lower(type, STAGE)(address, value)
        return lift(type, STAGE).reader()(address)


def of_integers(name: str) -> st.SearchStrategy[tuple[Type, Any]]:
    return st.tuples(st.just(Scalar(name)), st.integers(*RANGES[name]))


def listed(name: str) -> st.SearchStrategy[tuple[Type, Any]]:
    values = st.lists(st.integers(*RANGES[name]), max_size=2 * SHORT_LIST)
    return st.tuples(st.just(ListOf(Scalar(name))), values)


SIMPLE: st.SearchStrategy[tuple[Type, Any]] = st.one_of(
    *(of_integers(name) for name in RANGES),
    st.tuples(st.just(Scalar("bool")), st.booleans()),
    st.tuples(st.just(Scalar("f32")), st.floats(width=32, allow_nan=False)),
    st.tuples(st.just(Scalar("f64")), st.floats(allow_nan=False)),
    st.tuples(st.just(Scalar("string")), st.text(st.characters(exclude_categories=["Cs"]))),
    st.tuples(st.just(EnumOf(("one", "two"))), st.sampled_from(["one", "two"])),
)


@given(SIMPLE)
def test_simple_values(case: tuple[Type, Any]) -> None:
    type, value = case
    assert there_and_back(type, value) == value


@given(st.one_of(*(listed(name) for name in RANGES if name != "u8")))
def test_lists_of_numbers_of_any_length(case: tuple[Type, Any]) -> None:
    type, values = case
    assert list(there_and_back(type, values)) == values


@given(st.binary(max_size=1000))
def test_bytes(value: bytes) -> None:
    assert there_and_back(ListOf(Scalar("u8")), value) == value


@given(SIMPLE, SIMPLE, st.booleans())
def test_compounds(first: tuple[Type, Any], second: tuple[Type, Any], some: bool) -> None:
    types, values = (first[0], second[0]), (first[1], second[1])
    assert there_and_back(TupleOf(types), values) == values
    assert there_and_back(OptionOf(first[0]), first[1] if some else None) == (first[1] if some else None)
    assert there_and_back(ListOf(OptionOf(first[0])), [first[1], None]) == [first[1], None]
    assert there_and_back(ResultOf(*types), first[1]) == (True, first[1])
    cases = VariantOf((("first", first[0]), ("none", None)))
    assert there_and_back(cases, ("first", first[1])) == ("first", first[1])
    assert there_and_back(cases, ("none", None)) == ("none", None)


@given(SIMPLE, SIMPLE)
def test_records_become_named_tuples_and_come_from_any_object(
    first: tuple[Type, Any], second: tuple[Type, Any]
) -> None:
    type = RecordOf((("first-one", first[0]), ("second", second[0])))
    with Value() as address:
        record = lift(type, STAGE)
        make = _record("first_one second", first[1], second[1])
        lower(type, STAGE)(address, make)
        found = record.reader()(address)
        assert (found.first_one, found.second) == (first[1], second[1])


def _record(names: str, *values: Any) -> Any:
    return type("Any", (), dict(zip(names.split(), values, strict=True)))


@given(SIMPLE)
def test_the_error_case_of_a_result(case: tuple[Type, Any]) -> None:
    type = ResultOf(None, case[0])
    with Value() as address:
        refuse(type, STAGE)(address, case[1])
        assert lift(type, STAGE).reader()(address) == (False, case[1])


def test_lists_of_lists() -> None:
    value = [[1, 2, 3], [], [2**32 - 1]]
    found = there_and_back(ListOf(ListOf(Scalar("u32"))), value)
    assert [list(row) for row in found] == value


def test_a_list_that_is_too_long_is_refused_before_it_is_copied() -> None:
    with Value() as address:
        lower(ListOf(Scalar("u32")), STAGE)(address, range(MOST_ITEMS + 1))
        with pytest.raises(LimitExceeded, match=str(MOST_ITEMS + 1)):
            lift(ListOf(Scalar("u32")), STAGE).reader()(address)
