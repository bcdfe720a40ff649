"""The raw calls: their names, their checks, their errors."""

import re
from pathlib import Path

import pytest

from inferlet import raw
from inferlet.errors import ERRORS, InferletError, InvalidArgument, UnknownId
from inferlet.host import Host
from inferlet.testing import FakeHost

WIT = re.sub(r"///.*", "", (Path(__file__).parents[3] / "wit" / "pie.wit").read_text())
INTERFACES = {
    found[1]: [call.replace("-", "_") for call in re.findall(r"^  ([\w-]+): func", found[2], re.MULTILINE)]
    for found in re.finditer(r"interface ([\w-]+) \{(.*?)\n\}", WIT, re.DOTALL)
}
READ_WITH_THEIR_OBJECTS = {"wait", "drop"}


@pytest.mark.parametrize("interface", sorted(set(INTERFACES) - {"types", "source"}))
def test_the_fake_has_every_call_of_the_contract(host: FakeHost, interface: str) -> None:
    part = getattr(host, interface.replace("-", "_"))
    assert [call for call in INTERFACES[interface] if not hasattr(part, call)] == []


def test_a_host_has_every_interface_of_the_contract() -> None:
    names = {name.replace("-", "_") for name in INTERFACES} - {"types", "source"}
    assert names == set(Host.__slots__) - {"error", "monotonic"}


def test_every_call_of_the_contract_is_there_under_its_published_name() -> None:
    calls = {call for name, calls in INTERFACES.items() if name != "source" for call in calls}
    reading = {call for call in calls if call.startswith(("dist_", "take_"))} | READ_WITH_THEIR_OBJECTS
    assert calls - reading <= set(raw.__all__)


def test_every_call_is_documented() -> None:
    assert [name for name in raw.__all__ if not getattr(raw, name).__doc__] == []


def test_every_error_kind_of_the_contract_has_an_exception() -> None:
    enum = re.search(r"enum error-kind \{(.*?)\}", WIT, re.DOTALL)
    assert enum is not None
    kinds = re.findall(r"[\w-]+", enum[1])
    assert {error.kind for error in ERRORS.values()} == set(kinds)


@pytest.mark.usefixtures("host")
@pytest.mark.parametrize("wrong", [["a"], [1.5], [None], 7, None])
def test_a_wrong_type_is_a_type_error_that_shows_the_value(wrong: object) -> None:
    with pytest.raises(TypeError, match="pages must be integers, not"):
        raw.alloc_kvpage(1, wrong)  # type: ignore[arg-type]


@pytest.mark.usefixtures("host")
@pytest.mark.parametrize("wrong", [[-1], [2**32], [1, 2, 2**70]])
def test_a_number_out_of_range_is_an_invalid_argument(wrong: list[int]) -> None:
    with pytest.raises(InvalidArgument, match="pages must be from 0 to 4294967295"):
        raw.alloc_kvpage(1, wrong)


@pytest.mark.usefixtures("host")
def test_text_that_utf8_cannot_carry_is_an_invalid_argument() -> None:
    with pytest.raises(InvalidArgument, match="surrogate at index 2"):
        raw.send("ab\ud800")


@pytest.mark.usefixtures("host")
@pytest.mark.parametrize("call", [raw.send, raw.send_blob, raw.sleep, raw.reset_queue, raw.kvpage_size])
def test_a_wrong_argument_never_reaches_the_host(call: object) -> None:
    with pytest.raises(TypeError):
        call(1.5)  # type: ignore[operator]


@pytest.mark.usefixtures("host")
def test_what_the_host_refuses_is_raised_with_its_kind() -> None:
    queue = raw.create_queue("fake")
    with pytest.raises(UnknownId, match="page 7 is not allocated") as caught:
        raw.dealloc_kvpage(queue, [7])
    assert caught.value.kind == "unknown-id"
    assert caught.value.__suppress_context__


def test_outside_the_sandbox_a_call_says_how_to_run_the_program() -> None:
    with pytest.raises(RuntimeError, match="pie run"):
        raw.get_version()


def test_ranges_and_tuples_are_lists_too(host: FakeHost) -> None:
    queue = raw.create_queue("fake")
    raw.alloc_kvpage(queue, range(3))
    raw.dealloc_kvpage(queue, (0, 1))
    assert host.pages == {2}


@pytest.mark.usefixtures("host")
def test_a_mask_row_chooses_what_an_input_sees() -> None:
    queue = raw.create_queue("fake")
    raw.alloc_emb(queue, range(3))
    raw.embed_txt(queue, b"ax", [0, 1], [0, 1])
    raw.forward(queue, [], [0, 1], oemb=[2], mask=[[0, 1], [0, 1, 1]])
    assert raw.get_next_dist(queue, 2).wait().max_index() == ord("b")


def test_a_page_bit_hides_a_token(host: FakeHost) -> None:
    queue = raw.create_queue("fake")
    raw.alloc_emb(queue, range(3))
    raw.alloc_kvpage(queue, [0])
    raw.embed_txt(queue, b"ax", [0, 1], [0, 1])
    raw.forward(queue, [], [0], [0])
    raw.mask_kvpage(queue, 0, 0b0)
    raw.forward(queue, [0], [1], oemb=[2])
    assert host.forward.embs[2].seen == (ord("x"),)  # type: ignore[attr-defined]


def test_copying_takes_the_tokens_of_a_span(host: FakeHost) -> None:
    queue = raw.create_queue("fake")
    raw.alloc_emb(queue, range(4))
    raw.alloc_kvpage(queue, [0, 1])
    raw.embed_txt(queue, b"abc", range(3), range(3))
    raw.forward(queue, [], range(3), [0])
    raw.copy_kvpage(queue, [0], [1], [raw.Span(1, 0, 2)])
    raw.embed_txt(queue, b"z", [9], [0])
    raw.forward(queue, [1], [0], oemb=[3])
    assert host.forward.embs[3].seen == tuple(b"bcz")  # type: ignore[attr-defined]


@pytest.mark.usefixtures("host")
def test_reading_a_distribution_too_early_says_to_wait() -> None:
    queue = raw.create_queue("fake")
    raw.alloc_emb(queue, [0, 1])
    raw.embed_txt(queue, b"a", [0], [0])
    raw.forward(queue, [], [0], oemb=[1])
    with pytest.raises(InferletError, match="wait for it"):
        raw.get_next_dist(queue, 1).max_index()
