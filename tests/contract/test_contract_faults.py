"""Bad passes: an error that names what is wrong, and nothing else happens."""

from array import array
from collections.abc import Callable

import pytest
from hand import OUT, Hand, same

from pie.core.passes import Pass
from pie.testing.passes import PassBuilder

TEXT = [40, 80, 120, 7, 66]
PAGES, EMBS, SIZE, VOCABULARY = 32, 256, 8, 320


def one_input(**changes: object) -> PassBuilder:
    builder = PassBuilder().embed([5], [5], [0])
    return builder.forward([0], **changes)  # type: ignore[arg-type]


BAD: dict[str, PassBuilder] = {
    "fresh page beyond the last": PassBuilder().fresh(PAGES),
    "negative fresh page": PassBuilder().fresh(-1),
    "copy from a page beyond the last": PassBuilder().copy(PAGES, 0, 2, 0, 1),
    "copy to a negative page": PassBuilder().copy(1, 0, -1, 0, 1),
    "copy that leaves its source": PassBuilder().copy(1, 4, 2, 0, 5),
    "copy that leaves its target": PassBuilder().copy(1, 0, 2, 4, 5),
    "mask of a page beyond the last": PassBuilder().show(PAGES, 1),
    "token beyond the vocabulary": PassBuilder().embed([VOCABULARY], [0], [0]),
    "negative token": PassBuilder().embed([-1], [0], [0]),
    "embedding slot beyond the last": PassBuilder().embed([5], [0], [EMBS]),
    "negative embedding slot": PassBuilder().embed([5], [0], [-1]),
    "input slot beyond the last": PassBuilder().forward([EMBS]),
    "input slot never written": PassBuilder().forward([EMBS - 1]),
    "target beyond the last page": one_input(targets=[PAGES * SIZE]),
    "two inputs with one target": PassBuilder().embed([5, 6], [5, 6], [0, 1]).forward([0, 1], [], [9, 9]),
    "mask row of a negative run": one_input(mask=[[-1, 1]]),
    "read page beyond the last": one_input(read=[PAGES]),
    "output slot beyond the last": one_input(outputs={0: EMBS}),
    "output of an input that is not there": one_input(outputs={3: OUT}),
    "distribution slot beyond the last": PassBuilder().dist(EMBS),
    "distribution of a slot never written": PassBuilder().dist(EMBS - 1),
    "score of a token beyond the vocabulary": one_input(outputs={0: OUT}).dist(OUT, tokens=[VOCABULARY]),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_pass_is_an_error_and_harms_nothing(hand: Hand, name: str) -> None:
    hand.fill(TEXT, [1])
    before = hand.peek(9, 5, [1])
    assert hand.error(BAD[name])
    assert same(before, hand.peek(9, 5, [1]))


def cut(name: str) -> Callable[[Pass], None]:
    def change(work: Pass) -> None:
        setattr(work, name, getattr(work, name)[:-1])

    return change


def test_good_parts_of_a_bad_pass_are_not_executed(hand: Hand) -> None:
    hand.fill(TEXT, [1])
    before = hand.peek(9, 5, [1])
    hand.error(PassBuilder().fresh(1).show(1, 0).embed([VOCABULARY], [0], [0]))
    assert same(before, hand.peek(9, 5, [1]))


@pytest.mark.parametrize("name", ["embed_positions", "targets", "dist_top_k"])
def test_columns_of_unlike_length_are_an_error(hand: Hand, name: str) -> None:
    work = one_input(outputs={0: OUT}).dist(OUT).build()
    cut(name)(work)
    assert hand.executor.execute(work).error


@pytest.mark.parametrize("masked", [(), (1,), (0, 0)])
def test_mask_rows_that_fit_no_segment_are_an_error(hand: Hand, masked: tuple[int, ...]) -> None:
    work = one_input(mask=[[0, 1]]).build()
    work.masked = array("i", masked)
    assert hand.executor.execute(work).error


def test_an_error_keeps_the_number_of_its_pass(hand: Hand) -> None:
    work = Pass(77, fresh_pages=array("i", (PAGES,)))
    result = hand.executor.execute(work)
    assert (result.number, bool(result.error)) == (77, True)
