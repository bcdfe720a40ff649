"""The rows of a pass in the making, as plain lists; arrays once, at the end, is the cheaper way."""

from array import array
from collections.abc import Sequence
from typing import Any

from pie.core.passes import Pass, column_types

TYPES = column_types(Pass)


class Columns:
    """Same names and meanings as in `Pass`."""

    __slots__ = tuple(TYPES)

    def __init__(self) -> None:
        self.swap_outs: list[int] = []
        self.swap_ins: list[int] = []
        self.fresh_pages: list[int] = []
        self.copies: list[int] = []
        self.page_masks: list[int] = []
        self.embed_tokens: list[int] = []
        self.embed_positions: list[int] = []
        self.embed_slots: list[int] = []
        self.inputs: list[int] = []
        self.input_starts: list[int] = [0]
        self.targets: list[int] = []
        self.read_pages: list[int] = []
        self.read_starts: list[int] = [0]
        self.outputs: list[int] = []
        self.masked: list[int] = []
        self.mask_runs: list[int] = []
        self.mask_starts: list[int] = [0]
        self.matcher_drops: list[int] = []
        self.matcher_ops: list[int] = []
        self.matcher_data: list[int] = []
        self.grammar_texts: list[str] = []
        self.matcher_reads: list[int] = []
        self.dist_matchers: list[int] = []
        self.dist_slots: list[int] = []
        self.dist_top_k: list[int] = []
        self.dist_tokens: list[int] = []
        self.dist_token_starts: list[int] = [0]
        self.adapted: list[int] = []
        self.watched: list[int] = []
        self.slot_sources: list[int] = []
        self.slot_positions: list[int] = []
        self.slot_embs: list[int] = []
        self.score_slots: list[int] = []
        self.score_targets: list[int] = []
        self.sample_embs: list[int] = []
        self.sample_slots: list[int] = []
        self.sample_matchers: list[int] = []
        self.sample_top_k: list[int] = []
        self.sample_numbers: list[float] = []
        self.sample_seeds: list[int] = []
        self.seen_tokens: list[int] = []
        self.seen_token_starts: list[int] = [0]
        self.seen_slots: list[int] = []
        self.seen_slot_starts: list[int] = [0]

    def add_mask(self, rows: Sequence[Sequence[int]]) -> None:
        """The mask of the segment that comes next."""
        self.masked.append(len(self.input_starts) - 1)
        for row in rows:
            self.mask_runs += row
            self.mask_starts.append(len(self.mask_runs))

    def finish(self, number: int) -> Pass:
        columns: dict[str, Any] = {
            name: array(code, getattr(self, name)) if code else getattr(self, name)
            for name, code in TYPES.items()
        }
        return Pass(number, **columns)
