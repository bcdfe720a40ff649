"""A pass as numpy sees it: the columns of `core/passes.py` under the same names, without copying them."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pie.core.passes import Pass

Ints = NDArray[np.int32]
Bools = NDArray[np.bool_]
Longs = NDArray[np.uint64]
Doubles = NDArray[np.float64]


@dataclass(slots=True)
class Columns:
    """Not to be changed. Rows of fixed width are two-dimensional; the others are flat."""

    swap_outs: Ints
    swap_ins: Ints
    fresh_pages: Ints
    copies: Ints
    page_masks: Ints
    embed_tokens: Ints
    embed_positions: Ints
    embed_slots: Ints
    inputs: Ints
    input_starts: Ints
    targets: Ints
    read_pages: Ints
    read_starts: Ints
    outputs: Ints
    masked: Ints
    mask_runs: Ints
    mask_starts: Ints
    adapted: Ints
    watched: Ints
    dist_matchers: Ints
    dist_slots: Ints
    dist_top_k: Ints
    dist_tokens: Ints
    dist_token_starts: Ints
    slot_sources: Ints
    slot_positions: Ints
    slot_embs: Ints
    score_slots: Ints
    score_targets: Ints
    sample_embs: Ints
    sample_slots: Ints
    sample_matchers: Ints
    sample_top_k: Ints
    sample_numbers: Doubles
    sample_seeds: Longs
    seen_tokens: Ints
    seen_token_starts: Ints
    seen_slots: Ints
    seen_slot_starts: Ints

    @property
    def segments(self) -> int:
        return len(self.input_starts) - 1


WIDTHS = {
    "swap_outs": 2, "swap_ins": 2, "copies": 5, "page_masks": 2, "outputs": 2, "adapted": 2,
    "sample_numbers": 6,
}  # fmt: skip
NAMES = tuple(Columns.__dataclass_fields__)
TYPES = {"sample_numbers": np.float64, "sample_seeds": np.uint64}
EMPTY = {
    name: np.zeros((0, WIDTHS[name]) if name in WIDTHS else 0, TYPES.get(name, np.int32)) for name in NAMES
}
"""What most columns of most passes are."""


def columns_of(work: Pass) -> Columns:
    """Raises `ValueError` where rows of fixed width are not whole."""
    return Columns(**{name: column(work, name) for name in NAMES})


def column(work: Pass, name: str) -> Any:
    """An array of the column's own type; texts as they are."""
    values = getattr(work, name)
    if not values:
        return EMPTY[name]
    flat = np.frombuffer(values, TYPES.get(name, np.int32))
    width = WIDTHS.get(name)
    if width is None:
        return flat
    if len(flat) % width:
        raise ValueError(f"{name}: {len(flat)} numbers are not rows of {width}")
    return flat.reshape(-1, width)
