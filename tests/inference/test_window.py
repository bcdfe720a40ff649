"""What windowed layers see of what a pass's inputs see."""

import numpy as np
import pytest

from pie.inference.compiled_attention import CompiledAttention
from pie.inference.device import Device, Processor
from pie.inference.devices import CPU, TorchDevice
from pie.inference.kernels.library import Kernels
from pie.inference.storage import PageStorage
from pie.inference.torch_attention import TorchAttention
from pie.inference.visibility import Block, Rows, View
from pie.inference.window import with_window
from pie.models.tiny import TINY

SIZE = 8
WINDOW = 5


@pytest.fixture(params=[Processor(), TorchDevice(CPU)], ids=["compiled", "torch"])
def pages(request: pytest.FixtureRequest) -> PageStorage:
    """Positions 0 to 15 in two pages, the second page first."""
    device: Device = request.param
    pages = PageStorage(TINY, 4, SIZE, 16, "fp32", device)
    numbers = np.random.default_rng(1).standard_normal(tuple(pages.cells.shape), np.float32)
    pages.cells[:] = device.sent(numbers)
    pages.positions[:16] = np.roll(np.arange(16), 8)
    return pages


def view_of(pages: PageStorage, mask: np.ndarray[tuple[int, int], np.dtype[np.bool_]]) -> View:
    """One input that decodes at position 16 and sees all, and a segment of three at 17 to 19."""
    places = pages.scratch_slot + np.arange(4, dtype=np.int32)
    slots = np.concatenate((np.arange(16, dtype=np.int32), places))
    rows = Rows(np.zeros(1, np.int32), slots[:17], np.array([0, 17]))
    block = Block(1, 4, np.concatenate((slots[:16], places[1:])), mask)
    return View(places, np.arange(16, 20, dtype=np.int32), rows, [block])


def test_a_window_leaves_the_last_positions_of_what_was_seen(pages: PageStorage) -> None:
    mask = np.random.default_rng(0).random((3, 19)) < 0.7
    view = view_of(pages, mask)
    narrow = with_window(view, pages, WINDOW).windowed
    assert narrow is not None
    assert sorted(pages.positions[narrow.rows.slots[:-1]]) == [12, 13, 14, 15]
    at = {int(slot): int(pages.positions[slot]) for slot in range(16)}
    at |= {int(place): 16 + i for i, place in enumerate(view.places)}
    for row in range(3):
        seen = {int(slot) for slot in narrow.blocks[0].slots[narrow.blocks[0].mask[row]]}
        shown = {int(slot) for slot in view.blocks[0].slots[mask[row]]}
        assert seen == {slot for slot in shown if at[slot] > 17 + row - WINDOW}


def test_before_anybody_is_past_the_window_nothing_is_left_out(pages: PageStorage) -> None:
    view = view_of(pages, np.ones((3, 19), np.bool_))
    assert with_window(view, pages, 20) is view
    assert with_window(view, pages, 0) is view


def test_an_input_that_sees_nothing_in_its_window_gets_zeros(pages: PageStorage, kernels: Kernels) -> None:
    mask = np.zeros((3, 19), np.bool_)
    mask[:, 8:11] = True  # positions 0 to 2
    compiled = isinstance(pages.device, Processor)
    attention = (
        CompiledAttention(kernels, pages, TINY.heads) if compiled else TorchAttention(pages, TINY.heads)
    )
    attention.begin(with_window(view_of(pages, mask), pages, WINDOW))
    numbers = np.random.default_rng(2).standard_normal((4, TINY.heads * TINY.head_dim), np.float32)
    queries = pages.device.sent(numbers)
    assert attention.attend(0, queries)[1:].any()
    found = attention.attend(0, queries, windowed=True)
    assert found[0].any()
    assert not found[1:].any()
