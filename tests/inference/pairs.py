"""An executor and transformers given the same passes, and random passes to give them."""

import numpy as np
import torch
from dense import DenseReference

from pie.inference.executor import ModelExecutor
from pie.testing.passes import PassBuilder

SIZE = 8
PAGES = 24


class Pair:
    """An executor and the reference, given the same passes."""

    def __init__(self, executor: ModelExecutor, reference: DenseReference) -> None:
        self.executor = executor
        self.reference = reference
        self.vocabulary = executor.spec.vocabulary_size

    def check(self, builder: PassBuilder, slots: list[int]) -> None:
        """Runs a pass and compares the whole distribution at each of `slots`."""
        for slot in slots:
            builder.dist(slot, top_k=1, tokens=range(self.vocabulary))
        work = builder.build()
        result = self.executor.execute(work)
        assert result.error == ""
        self.reference.follow(work)
        if slots:
            ours = torch.tensor(result.chosen_logprobs).view(len(slots), -1)
            torch.testing.assert_close(ours, self.reference.logprobs(slots), atol=2e-4, rtol=1e-4)


class RandomPrograms:
    """Passes that do a bit of everything, never showing one input the same token twice."""

    def __init__(self, seed: int, vocabulary: int) -> None:
        self.random = np.random.default_rng(seed)
        self.vocabulary = vocabulary
        self.filled: dict[int, int] = {}

    def next_pass(self) -> tuple[PassBuilder, list[int]]:
        builder, outputs = PassBuilder(), []
        self._copy_and_mask(builder)
        busy: set[int] = set()
        for segment in range(self.random.integers(1, 6)):
            outputs += self._segment(builder, segment, busy)
        return builder, outputs

    def _copy_and_mask(self, builder: PassBuilder) -> None:
        full = [page for page, count in self.filled.items() if count]
        if full and self.random.random() < 0.4:
            builder.show(int(self.random.choice(full)), int(self.random.integers(1, 1 << SIZE)))
        free = self._free()
        if full and free and self.random.random() < 0.4:
            # The copy takes the place of its source: both in sight would be one token twice.
            source = int(self.random.choice(full))
            builder.fresh(free[0]).copy(source, 0, free[0], 0, SIZE).fresh()
            self.filled[free[0]] = self.filled.pop(source)

    def _segment(self, builder: PassBuilder, segment: int, busy: set[int]) -> list[int]:
        count = int(self.random.choice([1, 1, 1, 2, 5, SIZE]))
        pages = [page for page in self.filled if page not in busy]
        read = [int(p) for p in self.random.permutation(pages)[: self.random.integers(0, 5)]]
        targets, written = self._targets(builder, count, busy)
        base = 40 * segment
        slots = range(base, base + count)
        positions = self.random.integers(0, 60, count)
        builder.embed(self.random.integers(0, self.vocabulary, count).tolist(), positions.tolist(), slots)
        mask = self._mask(len(read) * SIZE + count, count) if self.random.random() < 0.4 else None
        outputs = {count - 1: base + 20}
        builder.forward(slots, read, targets, outputs, mask)
        busy |= written
        return [base + 20]

    def _targets(self, builder: PassBuilder, count: int, busy: set[int]) -> tuple[list[int], set[int]]:
        """Nowhere, a fresh page, or behind the tokens of one that is there."""
        free = [page for page in self._free() if page not in busy]
        if self.random.random() < 0.2 or not free:
            return [], set()
        behind = [p for p, filled in self.filled.items() if filled + count <= SIZE and p not in busy]
        page = int(self.random.choice(behind)) if behind and self.random.random() < 0.5 else free[0]
        start = self.filled.get(page, 0)
        if page not in self.filled:
            builder.fresh(page)
        self.filled[page] = start + count
        return [page * SIZE + start + i for i in range(count)], {page}

    def _mask(self, width: int, count: int) -> list[list[int]]:
        """Random rows; every input sees itself, as a row that sees nothing has no counterpart there."""
        bits = self.random.random((count, width)) < 0.6
        bits[range(count), range(width - count, width)] = True
        return [runs(row.tolist()) for row in bits]

    def _free(self) -> list[int]:
        return [page for page in range(PAGES) if page not in self.filled]


def runs(bits: list[bool]) -> list[int]:
    lengths = [0]
    for bit in bits:
        if bit != bool((len(lengths) - 1) % 2):
            lengths.append(0)
        lengths[-1] += 1
    return lengths
