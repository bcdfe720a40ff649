"""The rows of a pass in the making, as plain lists; arrays once, at the end, is the cheaper way."""

from array import array
from collections.abc import Sequence

from pie.core.passes import Pass


class Columns:
    """Same names and meanings as in `Pass`."""

    __slots__ = (
        "copies", "dist_slots", "dist_token_starts", "dist_tokens", "dist_top_k", "embed_positions",
        "embed_slots", "embed_tokens", "fresh_pages", "input_starts", "inputs", "mask_runs", "mask_starts",
        "masked", "outputs", "page_masks", "read_pages", "read_starts", "targets",
    )  # fmt: skip

    def __init__(self) -> None:
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
        self.dist_slots: list[int] = []
        self.dist_top_k: list[int] = []
        self.dist_tokens: list[int] = []
        self.dist_token_starts: list[int] = [0]

    def add_mask(self, rows: Sequence[Sequence[int]]) -> None:
        """The mask of the segment that comes next."""
        self.masked.append(len(self.input_starts) - 1)
        for row in rows:
            self.mask_runs += row
            self.mask_starts.append(len(self.mask_runs))

    def finish(self, number: int) -> Pass:
        return Pass(number, **{name: array("i", getattr(self, name)) for name in self.__slots__})
