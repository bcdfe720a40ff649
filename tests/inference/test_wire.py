"""Messages between host and driver process."""

from array import array
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pie.core.passes import Pass, PassResult, column_types
from pie.inference.wire import Done, Refused, Wire, done, pass_result

VALUES: dict[str, st.SearchStrategy[Any]] = {
    "i": st.integers(-(2**31), 2**31 - 1),
    "Q": st.integers(0, 2**64 - 1),
    "B": st.integers(0, 255),
    "f": st.floats(width=32, allow_nan=False),
    "d": st.floats(allow_nan=False),
}


def column(code: str) -> st.SearchStrategy[Any]:
    if not code:
        return st.lists(st.text(max_size=20), max_size=5)
    return st.lists(VALUES[code], max_size=20).map(lambda values: array(code, values))


def columns(kind: type[Pass] | type[PassResult]) -> dict[str, st.SearchStrategy[Any]]:
    return {name: column(code) for name, code in column_types(kind).items()}


@given(st.builds(Pass, number=st.integers(0, 2**60), **columns(Pass)))
def test_a_pass_crosses_unchanged(work: Pass) -> None:
    wire = Wire()
    assert wire.decode_pass(wire.encode_pass(work)) == work


@given(
    st.builds(
        PassResult,
        number=st.integers(0, 2**60),
        seconds=st.floats(0, 1e6),
        error=st.text(max_size=20),
        **columns(PassResult),
    )
)
def test_a_result_crosses_unchanged(result: PassResult) -> None:
    wire = Wire()
    message = wire.decode(wire.encode(done(result)))
    assert isinstance(message, Done)
    assert pass_result(message) == result


@given(st.binary(max_size=60))
def test_noise_is_refused(noise: bytes) -> None:
    wire = Wire()
    for decode in (wire.decode, wire.decode_pass):
        with pytest.raises((msgspec.MsgspecError, ValueError)):
            decode(noise)


def test_a_message_cut_anywhere_is_refused() -> None:
    wire = Wire()
    whole = wire.encode(Refused("BadModel", "so it is"))
    for length in range(len(whole)):
        with pytest.raises(msgspec.MsgspecError):
            wire.decode(whole[:length])
