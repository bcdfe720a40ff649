"""What an input sees, whatever executes the pass."""

import pytest
from hand import OUT, Hand, same

from pie.testing.passes import PassBuilder

TEXT = [40, 80, 120, 7, 66, 201, 33, 150, 90, 12, 77, 101, 45]


def test_one_token_at_a_time_is_the_same_as_all_at_once(hand: Hand) -> None:
    whole = hand.fill(TEXT, [1, 2])
    for i, token in enumerate(TEXT):
        stepwise = hand.fill([token], [5, 3], start=i)
    assert same(whole, stepwise)


@pytest.mark.parametrize("cut", [1, 5, 8, 12])
def test_a_prompt_in_two_chunks_is_the_same_as_in_one(hand: Hand, cut: int) -> None:
    whole = hand.fill(TEXT, [1, 2])
    hand.fill(TEXT[:cut], [9, 4])
    assert same(whole, hand.fill(TEXT[cut:], [9, 4], start=cut))


def test_every_token_and_its_place_count(hand: Hand) -> None:
    answers = [
        hand.fill(TEXT, [1, 2]),
        hand.fill([41, *TEXT[1:]], [1, 2]),
        hand.fill([80, 40, *TEXT[2:]], [1, 2]),
        hand.fill(TEXT[:-1], [1, 2]),
    ]
    assert len({tuple(answer.probs) + tuple(answer.tokens) for answer in answers}) == len(answers)


def test_segments_of_one_pass_do_not_see_one_another(hand: Hand) -> None:
    alone = [hand.fill(TEXT, [1, 2]), hand.fill(TEXT[3:7], [3]), hand.fill(TEXT[5:6], [4])]
    builder = PassBuilder().fresh(11, 12, 13, 14)
    hand.add(builder, TEXT, [11, 12], 0, slot=0)
    hand.add(builder, TEXT[3:7], [13], 0, slot=50)
    hand.add(builder, TEXT[5:6], [14], 0, slot=100)
    together = hand.run(builder)
    assert all(same(a, b) for a, b in zip(alone, together, strict=True))


def test_many_decode_steps_of_unlike_lengths_in_one_pass_are_the_same_as_one_by_one(hand: Hand) -> None:
    lengths = [1, 2, 3, 5, 8, 9, 13, 4]
    pages = [[2 * i, 2 * i + 1] for i in range(len(lengths))]
    builder = PassBuilder()
    for i, length in enumerate(lengths):
        hand.fill(TEXT[:length], pages[i])
        hand.add(builder, [60 + i], pages[i], length, slot=i)
    alone = [hand.peek(60 + i, length, pages[i]) for i, length in enumerate(lengths)]
    assert all(same(a, b) for a, b in zip(alone, hand.run(builder), strict=True))


def test_two_segments_may_read_the_same_prefix(hand: Hand) -> None:
    hand.fill(TEXT[:8], [1])
    alone = [hand.peek(50, 8, [1]), hand.peek(51, 8, [1])]
    builder = PassBuilder().embed([50, 51], [8, 8], [0, 1])
    builder.forward([0], [1], outputs={0: OUT}).forward([1], [1], outputs={0: OUT + 1})
    together = hand.run(builder.dist(OUT).dist(OUT + 1))
    assert same(alone[0], together[0])
    assert same(alone[1], together[1])
    assert not same(*together)


def test_inputs_that_are_not_stored_see_one_another_and_leave_nothing(hand: Hand) -> None:
    whole = hand.fill(TEXT, [1, 2])
    hand.fill(TEXT[:6], [3, 4])
    before = hand.peek(9, 6, [3, 4])
    rest = TEXT[6:]
    slots = range(len(rest))
    builder = PassBuilder().embed(rest, range(6, 6 + len(rest)), slots)
    builder.forward(slots, [3, 4], outputs={len(rest) - 1: OUT}).dist(OUT)
    assert same(whole, hand.run(builder)[0])
    assert same(before, hand.peek(9, 6, [3, 4]))


def test_inputs_see_one_another_even_when_their_pages_are_not_read(hand: Hand) -> None:
    whole = hand.fill(TEXT[:5], [1])
    builder = PassBuilder().fresh(2).embed(TEXT[:5], range(5), range(5))
    builder.forward(range(5), [], hand.places([2], 0, 5), outputs={4: OUT}).dist(OUT)
    assert same(whole, hand.run(builder)[0])
    assert same(hand.peek(9, 5, [1]), hand.peek(9, 5, [2]))


def test_a_page_left_out_is_not_seen(hand: Hand) -> None:
    hand.fill(TEXT, [1, 2])
    full, first, second = (hand.peek(9, 13, pages) for pages in ([1, 2], [1], [2]))
    assert not same(full, first)
    assert not same(full, second)


def test_the_order_of_pages_does_not_matter(hand: Hand) -> None:
    hand.fill(TEXT, [1, 2])
    assert same(hand.peek(9, 13, [1, 2]), hand.peek(9, 13, [2, 1]))


def test_an_input_sees_earlier_and_equal_positions_only(hand: Hand) -> None:
    hand.fill(TEXT[:8], [1])
    hand.fill(TEXT[:4], [2])
    assert same(hand.peek(9, 3, [1]), hand.peek(9, 3, [2]))
    assert not same(hand.peek(9, 4, [1]), hand.peek(9, 4, [2]))


def test_inputs_may_come_in_any_order_of_positions(hand: Hand) -> None:
    whole = hand.fill(TEXT[:4], [1])
    builder = PassBuilder().fresh(2).embed([TEXT[3], TEXT[1], TEXT[0], TEXT[2]], [3, 1, 0, 2], range(4))
    builder.forward(range(4), [], hand.places([2], 0, 4), outputs={0: OUT}).dist(OUT)
    assert same(whole, hand.run(builder)[0])


def test_positions_may_have_gaps(hand: Hand) -> None:
    def answer(positions: list[int], page: int) -> object:
        builder = PassBuilder().fresh(page).embed(TEXT[:3], positions, range(3))
        builder.forward(range(3), [], hand.places([page], 0, 3), outputs={2: OUT}).dist(OUT)
        return hand.run(builder)[0]

    assert answer([0, 1, 2], 1) != answer([0, 7, 100], 2)


def test_hidden_states_of_chosen_inputs_come_out(hand: Hand) -> None:
    prefixes = [hand.fill(TEXT[:n], [1, 2]) for n in (2, 5, 13)]
    slots = range(len(TEXT))
    builder = PassBuilder().fresh(3, 4).embed(TEXT, slots, slots)
    builder.forward(slots, [], hand.places([3, 4], 0, 13), outputs={1: OUT, 4: OUT + 1, 12: OUT + 2})
    chosen = hand.run(builder.dist(OUT).dist(OUT + 1).dist(OUT + 2))
    assert all(same(a, b) for a, b in zip(prefixes, chosen, strict=True))


def test_a_hidden_state_may_overwrite_the_slot_of_its_input(hand: Hand) -> None:
    builder = PassBuilder().embed([TEXT[0]], [0], [7]).forward([7], outputs={0: 7}).dist(7)
    assert same(hand.run(builder)[0], hand.peek(TEXT[0], 0, []))


def test_a_distribution_may_be_asked_for_in_a_later_pass(hand: Hand) -> None:
    hand.run(PassBuilder().embed([9], [0], [0]).forward([0], outputs={0: OUT}))
    assert same(hand.run(PassBuilder().dist(OUT))[0], hand.peek(9, 0, []))


def test_a_token_written_over_is_seen_once_as_the_new_one(hand: Hand) -> None:
    changed = [*TEXT[:5], 99, *TEXT[6:8]]
    hand.fill(TEXT[:8], [1])
    hand.fill(changed[:5], [2])
    fresh = hand.fill([99], [2], start=5)
    builder = PassBuilder()
    hand.add(builder, [99], [1], 5, slot=0)
    assert same(fresh, hand.run(builder)[0])
    assert same(hand.peek(9, 5, [1]), hand.peek(9, 5, [2]))


def test_fresh_pages_hold_nothing(hand: Hand) -> None:
    hand.fill(TEXT, [1, 2])
    hand.run(PassBuilder().show(1, 0b1).fresh(1, 2))
    assert same(hand.peek(9, 13, [1, 2]), hand.peek(9, 13, []))
    assert same(hand.fill(TEXT, [1, 2], fresh=False), hand.fill(TEXT, [3, 4]))


def test_a_pass_in_the_dark_works_and_says_nothing(hand: Hand) -> None:
    assert hand.run(PassBuilder()) == []
