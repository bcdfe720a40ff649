"""What inputs see, found by the compiled kernels: the same as in numpy."""

import numpy as np
import pytest
from numpy.typing import NDArray

from pie.inference.columns import Columns, columns_of
from pie.inference.device import Processor
from pie.inference.kernels.library import Kernels
from pie.inference.sight import CompiledSight, decodes
from pie.inference.storage import PageStorage
from pie.inference.visibility import View, look
from pie.models.tiny import TINY
from pie.testing.passes import PassBuilder

PAGES, SIZE, INPUTS = 12, 8, 9


def random_pages(random: np.random.Generator) -> PageStorage:
    """Some tokens written, some of them hidden."""
    pages = PageStorage(TINY, PAGES, SIZE, INPUTS, "fp32", Processor())
    slots = PAGES * SIZE
    pages.positions[:] = np.where(random.random(slots) < 0.8, random.integers(0, 50, slots), -1)
    pages.visible[:] = random.random(slots) < 0.8
    return pages


def random_batch(random: np.random.Generator, inputs: int) -> Columns:
    """Each input reads some pages and writes into the last of them, or nowhere."""
    builder = PassBuilder()
    last = random.permutation(PAGES)[:inputs].tolist()
    for input in range(inputs):
        others = [page for page in random.permutation(PAGES).tolist() if page != last[input]]
        read = [*others[: random.integers(0, 5)], last[input]]
        target = last[input] * SIZE + int(random.integers(SIZE))
        builder.forward([input], read, [target] if random.random() < 0.8 else [])
    return columns_of(builder.build())


def parts(view: View) -> list[NDArray[np.generic]]:
    return [view.places, view.positions, view.rows.inputs, view.rows.slots, view.rows.starts]


@pytest.mark.parametrize("seed", range(40))
def test_decoding_inputs_see_what_numpy_says(kernels: Kernels, seed: int) -> None:
    random = np.random.default_rng(seed)
    pages, batch = random_pages(random), random_batch(random, 1 + seed % INPUTS)
    positions = random.integers(0, 60, len(batch.inputs)).astype(np.int32)
    assert decodes(batch)
    found, wanted = CompiledSight(kernels).look(batch, positions, pages), look(batch, positions, pages)
    assert not (found.blocks or wanted.blocks)
    for ours, theirs in zip(parts(found), parts(wanted), strict=True):
        assert ours.dtype == theirs.dtype
        assert ours.tolist() == theirs.tolist()


def test_prompts_and_masks_are_left_to_numpy(kernels: Kernels) -> None:
    pages = random_pages(np.random.default_rng(0))
    prompt = columns_of(PassBuilder().forward([0, 1], []).build())
    masked = columns_of(PassBuilder().forward([0], [1], mask=[[0, 3]]).build())
    mixed = columns_of(PassBuilder().forward([0, 1], []).forward([], []).build())
    for batch in (prompt, masked, mixed):
        assert not decodes(batch)
    positions = np.array([5, 6], np.int32)
    assert len(CompiledSight(kernels).look(prompt, positions, pages).blocks) == 1
