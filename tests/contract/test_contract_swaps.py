"""Pages go to host memory or to disk, and come back."""

import pytest
from hand import Hand, same

from pie.core.passes import FaultKind
from pie.testing.passes import PassBuilder

TEXT = [40, 80, 120, 7, 66, 201, 33, 150]


@pytest.mark.parametrize("place", [3, 4, 7], ids=["host memory", "disk", "end of disk"])
def test_a_page_that_comes_back_answers_as_before_wherever_it_comes_to(hand: Hand, place: int) -> None:
    hand.fill(TEXT[:6], [1])
    hand.run(PassBuilder().show(1, 0b110101))
    before = hand.peek(9, 8, [1])
    hand.run(PassBuilder().swap_out(1, place))
    hand.fill(TEXT[::-1], [1])
    hand.run(PassBuilder().swap_in(place, 2))
    assert same(hand.peek(9, 8, [2]), before)
    assert not same(hand.peek(9, 8, [1]), before)


def test_pages_leave_before_others_come_and_before_everything_else_of_a_pass(hand: Hand) -> None:
    hand.fill(TEXT, [1])
    hand.fill(TEXT[:3], [2])
    first, second = hand.peek(9, 8, [1]), hand.peek(9, 8, [2])
    hand.run(PassBuilder().swap_out(1, 0))
    hand.run(PassBuilder().swap_out(2, 1).swap_in(0, 2).swap_in(1, 1).fresh(3).copy(2, 0, 3, 0, 8))
    assert same(hand.peek(9, 8, [2]), first)
    assert same(hand.peek(9, 8, [3]), first)
    assert same(hand.peek(9, 8, [1]), second)


def test_a_page_that_the_disk_has_lost_is_a_fault_of_its_row_and_all_else_is_done(hand: Hand) -> None:
    hand.fill(TEXT, [1])
    hand.fill(TEXT[::-1], [2])
    before = hand.peek(9, 8, [2])
    empty = hand.peek(9, 8, [5])
    hand.run(PassBuilder().swap_out(1, 4).swap_out(2, 5))
    hand.damage(0)
    result = hand.executor.execute(PassBuilder().swap_in(5, 3).swap_in(4, 4).build())
    assert (result.error, [fault[:2] for fault in result.faults()]) == ("", [(FaultKind.SWAP_IN, 1)])
    assert same(hand.peek(9, 8, [3]), before)
    assert same(hand.peek(9, 8, [4]), empty)


@pytest.mark.parametrize(
    "work",
    [
        PassBuilder().swap_out(32, 0),
        PassBuilder().swap_out(0, 8),
        PassBuilder().swap_in(-1, 0),
        PassBuilder().swap_in(2, 1),
        PassBuilder().swap_in(6, 1),
    ],
    ids=["page", "place", "negative", "empty place", "empty place on disk"],
)
def test_a_swap_that_cannot_be_is_an_error_and_the_driver_goes_on(hand: Hand, work: PassBuilder) -> None:
    hand.fill(TEXT, [1])
    before = hand.peek(9, 8, [1])
    assert hand.executor.execute(work.build()).error
    assert same(hand.peek(9, 8, [1]), before)
