"""Attention stats, whatever executes the pass: one share for each page and one for the inputs."""

import math

import pytest
from hand import Hand

from pie.testing.passes import PassBuilder

TEXT = [40, 80, 120, 7, 66, 201, 33, 150, 90, 12, 77]


def measure(hand: Hand, builder: PassBuilder) -> list[float]:
    result = hand.executor.execute(builder.build())
    assert result.error == ""
    return list(result.attention)


def stats(hand: Hand, tokens: list[int], positions: list[int], pages: list[int]) -> list[float]:
    slots = range(len(tokens))
    return measure(hand, PassBuilder().embed(tokens, positions, slots).watch().forward(slots, pages))


def test_shares_are_one_for_each_page_and_one_for_the_inputs_and_sum_to_one(hand: Hand) -> None:
    hand.fill(TEXT, [1, 2])
    shares = stats(hand, [5, 6, 7], [11, 12, 13], [1, 2])
    assert len(shares) == 3
    assert all(share > 0 for share in shares)
    assert math.isclose(sum(shares), 1, abs_tol=1e-5)


def test_pages_are_answered_in_the_order_that_they_were_named(hand: Hand) -> None:
    hand.fill(TEXT, [1, 2])
    forth, back = (stats(hand, [5], [11], pages) for pages in ([1, 2], [2, 1]))
    assert forth == pytest.approx([back[1], back[0], back[2]], abs=1e-5)


def test_what_cannot_be_seen_gets_nothing(hand: Hand) -> None:
    """Hidden tokens, tokens of later positions, pages in which nothing was written."""
    hand.fill(TEXT, [1, 2])
    hand.run(PassBuilder().fresh(3).show(1, 0))
    shares = stats(hand, [5], [9], [1, 2, 3])
    assert (shares[0], shares[2]) == (0, 0)
    assert stats(hand, [5], [8], [2])[0] < shares[1]
    assert stats(hand, [5], [7], [2]) == [0, 1]


def test_segments_of_one_pass_are_answered_one_after_the_other(hand: Hand) -> None:
    hand.fill(TEXT, [1, 2])
    builder = PassBuilder().embed([5, 6, 9], [11, 12, 11], [0, 1, 2])
    builder.watch().forward([0, 1], [2])
    builder.forward([2], [1, 2], [3 * hand.page_size])
    builder.watch().forward([2], [1, 2])
    together = measure(hand, builder.fresh(3))
    alone = stats(hand, [5, 6], [11, 12], [2]) + stats(hand, [9], [11], [1, 2])
    assert together == pytest.approx(alone, abs=1e-5)


def test_a_watched_segment_neither_stores_nor_brings_a_mask(hand: Hand) -> None:
    builder = PassBuilder().fresh(0).embed([5], [0], [0])
    assert "stores" in hand.error(builder.watch().forward([0], targets=[0]))
    builder = PassBuilder().embed([5], [0], [0])
    assert "mask" in hand.error(builder.watch().forward([0], mask=[[0, 1]]))
    assert "watched" in hand.error(PassBuilder().embed([5], [0], [0]).watch())
