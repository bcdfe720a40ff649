"""Adapters, whatever executes the pass: their tokens change, in pages too, and nobody else's do."""

import pytest
from hand import OUT, Hand, same

from pie.core.driver import Executor
from pie.testing.passes import Answer, PassBuilder

TEXT = [40, 80, 120, 7, 66]


@pytest.fixture
def adapted(adapted_executor: Executor) -> Hand:
    """With two adapters."""
    return Hand(adapted_executor)


def fill(hand: Hand, *adapters: int | None) -> list[Answer]:
    """The text once for each of `adapters`, in one pass, each into a page of its own."""
    builder = PassBuilder().fresh(*range(len(adapters)))
    for row, adapter in enumerate(adapters):
        if adapter is not None:
            builder.adapt(adapter)
        hand.add(builder, TEXT, [row], 0, slot=10 * row)
    return hand.run(builder)


def test_each_adapter_gives_other_answers(adapted: Hand) -> None:
    base, first, second = fill(adapted, None, 0, 1)
    assert not same(base, first)
    assert not same(base, second)
    assert not same(first, second)


def test_adapters_in_one_batch_give_what_each_gives_alone(adapted: Hand) -> None:
    together = fill(adapted, 1, None, 0, 1)
    alone = [fill(adapted, adapter)[0] for adapter in (1, None, 0, 1)]
    assert all(map(same, together, alone))


def test_pages_written_through_an_adapter_hold_what_it_made(adapted: Hand) -> None:
    fill(adapted, None, 0)
    assert not same(adapted.peek(9, 5, [0]), adapted.peek(9, 5, [1]))


def test_an_adapter_that_is_not_there_is_a_fault(adapted: Hand) -> None:
    builder = PassBuilder().embed([1], [0], [0]).adapt(2)
    assert "adapted" in adapted.error(builder.forward([0], outputs={0: OUT}))
