"""Copies and shared pages."""

from hand import Hand, same

from pie.testing.passes import PassBuilder

TEXT = [40, 80, 120, 7, 66, 201, 33, 150]


def test_a_copied_page_answers_like_its_source(hand: Hand) -> None:
    hand.fill(TEXT, [1])
    hand.run(PassBuilder().fresh(2).copy(1, 0, 2, 0, 8))
    assert same(hand.peek(9, 8, [1]), hand.peek(9, 8, [2]))


def test_a_copy_is_its_own(hand: Hand) -> None:
    hand.fill(TEXT[:4], [1])
    hand.run(PassBuilder().fresh(2).copy(1, 0, 2, 0, 4))
    before = hand.peek(9, 6, [1])
    hand.fill([99], [2], start=4)
    assert same(hand.peek(9, 6, [1]), before)
    assert not same(hand.peek(9, 6, [2]), before)


def test_tokens_keep_their_positions_wherever_they_are_copied_to(hand: Hand) -> None:
    hand.fill(TEXT, [1])
    hand.run(PassBuilder().fresh(2, 3).copy(1, 0, 2, 5, 3).copy(1, 3, 3, 1, 5))
    assert same(hand.peek(9, 8, [1]), hand.peek(9, 8, [2, 3]))


def test_copies_of_a_part_see_that_part(hand: Hand) -> None:
    hand.fill(TEXT, [1])
    hand.fill(TEXT[:3], [2])
    hand.run(PassBuilder().fresh(3).copy(1, 0, 3, 4, 3))
    assert same(hand.peek(9, 8, [3]), hand.peek(9, 8, [2]))


def test_a_copy_carries_what_is_hidden_and_what_was_never_written(hand: Hand) -> None:
    hand.fill(TEXT[:6], [1])
    hand.run(PassBuilder().show(1, 0b110101))
    hand.fill(TEXT, [2])
    hand.run(PassBuilder().copy(1, 0, 2, 0, 8))
    assert same(hand.peek(9, 8, [1]), hand.peek(9, 8, [2]))


def test_a_copy_within_a_page_may_overlap(hand: Hand) -> None:
    hand.fill(TEXT, [1])
    hand.run(PassBuilder().fresh(2).copy(1, 0, 2, 2, 6))
    hand.run(PassBuilder().fresh(3).copy(1, 0, 3, 0, 8).copy(3, 0, 3, 2, 6).show(3, 0b11111100))
    assert same(hand.peek(9, 8, [2]), hand.peek(9, 8, [3]))


def test_copies_of_one_pass_follow_one_another(hand: Hand) -> None:
    hand.fill(TEXT, [1])
    hand.run(PassBuilder().fresh(2, 3).copy(1, 0, 2, 0, 8).copy(2, 0, 3, 0, 8))
    assert same(hand.peek(9, 8, [1]), hand.peek(9, 8, [3]))


def test_a_copy_comes_before_the_forwards_of_its_pass(hand: Hand) -> None:
    hand.fill(TEXT[:5], [1])
    alone = hand.fill([9], [1], start=5)
    builder = PassBuilder().fresh(2).copy(1, 0, 2, 0, 5)
    hand.add(builder, [9], [2], 5, slot=0)
    assert same(alone, hand.run(builder)[0])


def test_a_page_cleared_in_a_pass_can_be_copied_to_in_the_same(hand: Hand) -> None:
    hand.fill(TEXT, [1])
    hand.fill([5, 6, 7], [2])
    hand.run(PassBuilder().fresh(2).copy(1, 0, 2, 0, 4))
    hand.fill(TEXT[:4], [3])
    assert same(hand.peek(9, 8, [2]), hand.peek(9, 8, [3]))


def test_branches_that_share_a_prefix_do_not_disturb_one_another(hand: Hand) -> None:
    hand.fill(TEXT, [1])
    alone = [hand.fill([70 + i, 80 + i], [1, 2], start=8) for i in range(3)]
    pages = [[1, 10], [1, 11], [1, 12]]
    builder = PassBuilder().fresh(10, 11, 12)
    for i in range(3):
        hand.add(builder, [70 + i, 80 + i], pages[i], 8, slot=10 * i)
    together = hand.run(builder)
    assert all(same(a, b) for a, b in zip(alone, together, strict=True))
