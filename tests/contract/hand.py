"""A hand on an executor: runs passes and compares what comes back."""

import math
import os
from collections.abc import Sequence

from pie.core.driver import Executor
from pie.inference.executor import ModelExecutor
from pie.inference.host_storage import packed_size
from pie.testing import FakeExecutor
from pie.testing.passes import Answer, PassBuilder, answers

OUT = 200
"""Embedding slots from here on hold hidden states; those below, inputs."""


class Hand:
    def __init__(self, executor: Executor) -> None:
        self.executor = executor
        self.page_size = executor.spec.page_size

    def damage(self, place: int) -> None:
        """The page at the given place on disk: one byte of it is another one."""
        if isinstance(self.executor, FakeExecutor):
            self.executor.damaged[self.executor.spec.host_pages + place] = "a test damaged it"
        elif isinstance(self.executor, ModelExecutor):
            storage = self.executor.disk
            assert storage is not None
            storage.sync()
            size = packed_size(self.executor.engine.pages)
            (byte,) = os.pread(storage.file.fileno(), 1, place * size)
            os.pwrite(storage.file.fileno(), bytes((byte ^ 1,)), place * size)

    def run(self, builder: PassBuilder) -> list[Answer]:
        """The answers of a pass that must succeed."""
        work = builder.build()
        result = self.executor.execute(work)
        assert result.error == ""
        return answers(work, result)

    def error(self, builder: PassBuilder) -> str:
        """Why a pass that must fail did."""
        result = self.executor.execute(builder.build())
        assert result.error
        assert not (result.top_tokens or result.entropies or result.chosen_logprobs)
        return result.error

    def places(self, pages: Sequence[int], start: int, count: int) -> list[int]:
        """Targets for `count` tokens from token `start` of `pages` on."""
        size = self.page_size
        return [pages[i // size] * size + i % size for i in range(start, start + count)]

    def fill(
        self, tokens: Sequence[int], pages: Sequence[int], start: int = 0, fresh: bool | None = None
    ) -> Answer:
        """Runs `tokens` at positions from `start` on, stored in `pages` from token `start` on; the answer
        after the last one. By default the pages are fresh when it starts with the first."""
        builder = PassBuilder()
        if fresh is not False and start == 0:
            builder.fresh(*pages)
        self.add(builder, tokens, pages, start, slot=0)
        return self.run(builder)[0]

    def add(
        self, builder: PassBuilder, tokens: Sequence[int], pages: Sequence[int], start: int, slot: int
    ) -> None:
        """Adds the same to a pass, with embedding slots from `slot` on."""
        count = len(tokens)
        slots = range(slot, slot + count)
        builder.embed(tokens, range(start, start + count), slots)
        builder.forward(slots, pages, self.places(pages, start, count), outputs={count - 1: slot + count - 1})
        builder.dist(slot + count - 1)

    def peek(self, token: int, position: int, pages: Sequence[int]) -> Answer:
        """The answer after one token that is not stored."""
        builder = PassBuilder().embed([token], [position], [0])
        return self.run(builder.forward([0], pages, outputs={0: OUT}).dist(OUT))[0]


def same(a: Answer, b: Answer) -> bool:
    """Equal but for the last bits of a sum in another order."""
    return a.tokens == b.tokens and close([*a.probs, a.entropy], [*b.probs, b.entropy])


def close(a: Sequence[float], b: Sequence[float]) -> bool:
    return len(a) == len(b) and all(
        math.isclose(x, y, rel_tol=1e-3, abs_tol=1e-6) for x, y in zip(a, b, strict=True)
    )
