"""Messages between host and driver process."""

from array import array
from dataclasses import fields

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pie.core.passes import Pass, PassResult
from pie.inference.wire import Done, Refused, Wire, done, pass_result

INTS = st.lists(st.integers(-(2**31), 2**31 - 1), max_size=20).map(lambda values: array("i", values))
FLOATS = st.lists(st.floats(width=32, allow_nan=False), max_size=20).map(lambda values: array("f", values))
COLUMNS = {field.name: INTS for field in fields(Pass) if field.name != "number"}


@given(st.builds(Pass, number=st.integers(0, 2**60), **COLUMNS))
def test_a_pass_crosses_unchanged(work: Pass) -> None:
    wire = Wire()
    assert wire.decode_pass(wire.encode_pass(work)) == work


@given(
    st.builds(
        PassResult,
        number=st.integers(0, 2**60),
        seconds=st.floats(0, 1e6),
        top_tokens=INTS,
        top_probs=FLOATS,
        top_starts=INTS,
        chosen_logprobs=FLOATS,
        entropies=FLOATS,
        error=st.text(max_size=20),
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
