"""Explicit masks and page masks."""

from hand import OUT, Hand, same

from pie.testing.passes import Answer, PassBuilder

TEXT = [40, 80, 120, 7, 66, 201, 33, 150, 90, 12]


def masked(
    hand: Hand, tokens: list[int], pages: list[int], start: int, rows: list[list[int]]
) -> list[Answer]:
    """Answers after each of `tokens`, not stored, seen through `rows`."""
    slots = range(len(tokens))
    outputs = {i: OUT + i for i in slots}
    builder = PassBuilder().embed(tokens, range(start, start + len(tokens)), slots)
    builder.forward(slots, pages, outputs=outputs, mask=rows)
    for slot in outputs.values():
        builder.dist(slot)
    return hand.run(builder)


def test_a_mask_that_hides_nothing_changes_nothing(hand: Hand) -> None:
    hand.fill(TEXT[:8], [1])
    assert same(masked(hand, [9], [1], 8, [[0, 9]])[0], hand.peek(9, 8, [1]))


def test_a_causal_mask_is_the_same_as_none(hand: Hand) -> None:
    hand.fill(TEXT[:8], [1])
    builder = PassBuilder().embed([9, 10, 11], [8, 9, 10], range(3))
    builder.forward(range(3), [1], outputs={i: OUT + i for i in range(3)})
    plain = hand.run(builder.dist(OUT).dist(OUT + 1).dist(OUT + 2))
    rows = [[0, 9], [0, 10], [0, 11]]
    assert all(same(a, b) for a, b in zip(plain, masked(hand, [9, 10, 11], [1], 8, rows), strict=True))


def test_masked_tokens_are_not_seen(hand: Hand) -> None:
    hand.fill(TEXT[:8], [1])
    hand.fill(TEXT[:4], [2])
    # Page 2 holds the first four tokens only: to see those of page 1 is the same.
    assert same(masked(hand, [9], [1], 8, [[0, 4, 4, 1]])[0], hand.peek(9, 8, [2]))


def test_what_a_row_leaves_out_is_hidden(hand: Hand) -> None:
    hand.fill(TEXT[:8], [1])
    assert same(masked(hand, [9], [1], 8, [[0, 4, 4, 1]])[0], masked(hand, [9], [1], 8, [[0, 4, 4, 1, 0]])[0])
    assert same(masked(hand, [9], [1], 8, [[9]])[0], masked(hand, [9], [1], 8, [[]])[0])


def test_an_input_that_sees_nothing_is_no_error_and_knows_nothing_of_its_surroundings(hand: Hand) -> None:
    hand.fill(TEXT[:8], [1])
    blind = masked(hand, [9], [1], 8, [[9]])[0]
    assert same(blind, masked(hand, [9], [], 8, [[1]])[0])
    assert same(blind, masked(hand, [9, 10], [1], 8, [[10], [0, 10]])[0])
    assert not same(blind, hand.peek(9, 8, [1]))


def test_inputs_may_look_ahead(hand: Hand) -> None:
    causal, both = [[0, 1], [0, 2]], [[0, 2], [0, 2]]
    assert not same(masked(hand, [9, 10], [], 0, causal)[0], masked(hand, [9, 10], [], 0, both)[0])


def test_a_mask_shows_what_position_would_hide(hand: Hand) -> None:
    hand.fill(TEXT[:8], [1])
    assert not same(masked(hand, [9], [1], 3, [[0, 9]])[0], hand.peek(9, 3, [1]))
    assert same(masked(hand, [9], [1], 3, [[0, 4, 4, 1]])[0], hand.peek(9, 3, [1]))


def test_a_mask_cannot_show_what_was_never_written(hand: Hand) -> None:
    hand.fill(TEXT[:5], [1])
    assert same(masked(hand, [9], [1], 5, [[0, 9]])[0], hand.peek(9, 5, [1]))


def test_masked_and_unmasked_segments_share_a_pass(hand: Hand) -> None:
    hand.fill(TEXT[:8], [1])
    expected = [hand.peek(9, 8, [1]), masked(hand, [10], [1], 8, [[0, 4, 4, 1]])[0], hand.peek(11, 8, [1])]
    expected += masked(hand, [12, 13], [1], 8, [[2, 7], [3, 7]])
    builder = PassBuilder().embed([9, 10, 11, 12, 13], [8, 8, 8, 8, 9], range(5))
    builder.forward([0], [1], outputs={0: OUT})
    builder.forward([1], [1], outputs={0: OUT + 1}, mask=[[0, 4, 4, 1]])
    builder.forward([2], [1], outputs={0: OUT + 2})
    builder.forward([3, 4], [1], outputs={0: OUT + 3, 1: OUT + 4}, mask=[[2, 7], [3, 7]])
    for slot in range(OUT, OUT + 5):
        builder.dist(slot)
    assert all(same(a, b) for a, b in zip(expected, hand.run(builder), strict=True))


def test_the_tree_of_a_speculation_sees_its_own_branches(hand: Hand) -> None:
    hand.fill(TEXT[:8], [1])
    rows = [[0, 9], [0, 8, 1, 1], [0, 9, 1, 1]]  # a root, a branch of its own, and a child of the root
    root, other, child = masked(hand, [9, 10, 11], [1], 8, rows)
    assert same(root, hand.peek(9, 8, [1]))
    assert same(other, masked(hand, [10], [1], 9, [[0, 9]])[0])
    hand.fill(TEXT[:8], [2])
    hand.fill([9], [2, 3], start=8)
    assert same(child, hand.peek(11, 10, [2, 3]))


def test_a_page_mask_hides_for_all_later_passes(hand: Hand) -> None:
    hand.fill(TEXT[:8], [1])
    hand.fill(TEXT[:4], [2])
    hand.run(PassBuilder().show(1, 0b00001111))
    for _ in range(2):
        assert same(hand.peek(9, 8, [1]), hand.peek(9, 8, [2]))


def test_a_page_mask_can_be_taken_back(hand: Hand) -> None:
    hand.fill(TEXT[:8], [1])
    before = hand.peek(9, 8, [1])
    hand.run(PassBuilder().show(1, 0))
    assert same(hand.peek(9, 8, [1]), hand.peek(9, 8, []))
    hand.run(PassBuilder().show(1, 0xFF))
    assert same(hand.peek(9, 8, [1]), before)


def test_an_explicit_mask_does_not_show_what_a_page_mask_hides(hand: Hand) -> None:
    hand.fill(TEXT[:8], [1])
    hand.run(PassBuilder().show(1, 0b00001111))
    assert same(masked(hand, [9], [1], 8, [[0, 9]])[0], hand.peek(9, 8, [1]))


def test_writing_a_hidden_slot_leaves_it_hidden_but_the_input_sees_itself(hand: Hand) -> None:
    hand.fill(TEXT[:4], [1])
    hand.run(PassBuilder().show(1, 0b00001111))
    builder = PassBuilder()
    hand.add(builder, [9], [1], 4, slot=0)
    assert same(hand.run(builder)[0], hand.peek(9, 4, [1]))
    hand.fill(TEXT[:4], [2])
    assert same(hand.peek(11, 5, [1]), hand.peek(11, 5, [2]))
