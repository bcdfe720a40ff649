"""What a pass should answer, worked out by transformers on one dense sequence with an explicit mask.

Every token ever run is a node: its token, its position, and the nodes it saw. Pages hold nodes.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice, pairwise
from pathlib import Path

import torch
from greedy_programs import Node, dense_logprobs, expand
from transformers import AutoModelForCausalLM

from pie.core.passes import Pass

Slot = tuple[int, int]


@dataclass
class DenseReference:
    """Follows passes; `logprobs` gives the full distribution at an embedding slot."""

    model: torch.nn.Module
    page_size: int
    nodes: list[Node] = field(default_factory=list)
    pages: dict[Slot, int] = field(default_factory=dict)
    hidden: set[Slot] = field(default_factory=set)
    embeddings: dict[int, tuple[int, int]] = field(default_factory=dict)
    outputs: dict[int, int] = field(default_factory=dict)

    def follow(self, work: Pass) -> None:
        self._clear(work.fresh_pages)
        for start in range(0, len(work.copies), 5):
            self._copy(*work.copies[start : start + 5])
        for page, bits in zip(work.page_masks[::2], work.page_masks[1::2], strict=True):
            self._show(page, bits)
        for token, position, slot in zip(
            work.embed_tokens, work.embed_positions, work.embed_slots, strict=True
        ):
            self.embeddings[slot] = (token, position)
        self._forward(work)

    def logprobs(self, slots: Sequence[int]) -> torch.Tensor:
        """[slots, vocabulary]"""
        return dense_logprobs(self.model, self.nodes, [self.outputs[slot] for slot in slots])

    def _clear(self, pages: Sequence[int]) -> None:
        gone = set(pages)
        self.pages = {slot: node for slot, node in self.pages.items() if slot[0] not in gone}
        self.hidden = {slot for slot in self.hidden if slot[0] not in gone}

    def _copy(self, source: int, source_offset: int, target: int, target_offset: int, length: int) -> None:
        before, hidden = dict(self.pages), set(self.hidden)
        for i in range(length):
            old, new = (source, source_offset + i), (target, target_offset + i)
            self.pages.pop(new, None)
            self.hidden.discard(new)
            if old in before:
                self.pages[new] = before[old]
            if old in hidden:
                self.hidden.add(new)

    def _show(self, page: int, bits: int) -> None:
        for offset in range(self.page_size):
            change = self.hidden.discard if bits >> offset & 1 else self.hidden.add
            change((page, offset))

    def _forward(self, work: Pass) -> None:
        rows = self._mask_rows(work)
        written: dict[Slot, int] = {}
        for segment, (first, last) in enumerate(pairwise(work.input_starts)):
            targets = [divmod(t, self.page_size) if t >= 0 else None for t in work.targets[first:last]]
            nodes = self._segment(work, segment, {t for t in targets if t}, rows.get(segment))
            written.update({t: node for t, node in zip(targets, nodes, strict=True) if t})
        self.pages.update(written)
        base = len(self.nodes) - len(work.inputs)
        for index, slot in zip(work.outputs[::2], work.outputs[1::2], strict=True):
            self.outputs[slot] = base + index

    def _segment(self, work: Pass, segment: int, own: set[Slot], mask: list[list[bool]] | None) -> list[int]:
        inputs = [self.embeddings[slot] for slot in row_of(work.inputs, work.input_starts, segment)]
        pages = row_of(work.read_pages, work.read_starts, segment)
        slots = [(page, offset) for page in pages for offset in range(self.page_size)]
        base = len(self.nodes)
        for i, (token, position) in enumerate(inputs):
            row = mask[i] if mask is not None else None
            seen = {
                self.pages[slot]
                for column, slot in enumerate(slots)
                if slot in self.pages
                and slot not in self.hidden
                and slot not in own
                and (row[column] if row is not None else self.nodes[self.pages[slot]].position <= position)
            }
            seen |= {
                base + j
                for j, (_, other) in enumerate(inputs)
                if (row[len(slots) + j] if row is not None else other <= position)
            }
            self.nodes.append(Node(token, position, frozenset(seen)))
        return list(range(base, base + len(inputs)))

    def _mask_rows(self, work: Pass) -> dict[int, list[list[bool]]]:
        rows = iter(pairwise(work.mask_starts))
        found: dict[int, list[list[bool]]] = {}
        for segment in work.masked:
            inputs = work.input_starts[segment + 1] - work.input_starts[segment]
            read = work.read_starts[segment + 1] - work.read_starts[segment]
            width = read * self.page_size + inputs
            mine = islice(rows, inputs)
            found[segment] = [expand(work.mask_runs[start:stop], width) for start, stop in mine]
        return found


def row_of(values: Sequence[int], starts: Sequence[int], row: int) -> Sequence[int]:
    return values[starts[row] : starts[row + 1]]


def load_reference(folder: Path, page_size: int, gguf_file: str | None = None) -> DenseReference:
    model = AutoModelForCausalLM.from_pretrained(folder, gguf_file=gguf_file, dtype=torch.float32)
    return DenseReference(model.eval(), page_size)
