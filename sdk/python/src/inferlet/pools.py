"""What the contexts of one model share: numbers for pages and embeddings, idle queues, known tokens."""

from collections.abc import Iterable
from typing import NamedTuple

from inferlet.host import bound, translate

FIRST_ID = 1 << 20
"""Ids below are for programs that use the raw calls beside the library."""


class Ids:
    """Numbers that name pages or embeddings, used again after they were given back."""

    __slots__ = ("_free", "_next")

    def __init__(self) -> None:
        self._free: list[int] = []
        self._next = FIRST_ID

    def take(self, count: int) -> list[int]:
        free = self._free
        if len(free) >= count:
            taken = free[-count:]
            del free[-count:]
            return taken
        first = self._next
        self._next += count
        return list(range(first, first + count))

    def give(self, ids: Iterable[int]) -> None:
        self._free.extend(ids)


class Holdings(NamedTuple):
    """What a context gives back in the end."""

    queue: int
    pages: list[int]
    embs: list[int]
    through: int
    """The queue that knows the pages: another context's, as long as a fork has not been executed."""


class Pools:
    """One model's free lists."""

    __slots__ = (
        "embs", "grammars", "leftovers", "matchers", "pages", "queues", "resets",
        "token_bytes",
    )

    def __init__(self) -> None:
        self.pages = Ids()
        self.embs = Ids()
        self.matchers = Ids()
        self.grammars: dict[tuple[str, str], int] = {}
        """Compiled grammars, by kind and text."""
        self.queues: list[int] = []
        self.resets: dict[int, int] = {}
        """How often each queue was reset: whoever has commands in it must begin again."""
        self.leftovers: list[Holdings] = []
        self.token_bytes: dict[int, bytes] = {}

    def take_queue(self, model: str) -> int:
        return self.queues.pop() if self.queues else bound.host.runtime.create_queue(model)

    def release(self, held: Holdings) -> None:
        """Gives everything back: pages, embeddings, and the queue to the next context."""
        self.give_back(held)
        self.queues.append(held.queue)

    def give_back(self, held: Holdings, reset: bool = False) -> None:
        """Gives pages and embeddings back to the server, and their names to the next context.

        A failed queue is emptied first, so that what it held can be given back at all.
        """
        host = bound.host
        try:
            if reset:
                self._reset(held.queue)
            self._dealloc(held)
        except host.error:
            self._dealloc_after_reset(held)
        self.pages.give(held.pages)
        self.embs.give(held.embs)

    def _dealloc_after_reset(self, held: Holdings) -> None:
        host = bound.host
        try:
            self._reset(held.through)
            self._dealloc(held)
        except host.error as failure:
            raise translate(failure) from None

    def _reset(self, queue: int) -> None:
        self.resets[queue] = self.resets.get(queue, 0) + 1
        bound.host.runtime.reset_queue(queue)

    def _dealloc(self, held: Holdings) -> None:
        if held.pages:
            bound.host.allocate.dealloc_kvpage(held.through, held.pages)
        if held.embs:
            bound.host.allocate.dealloc_emb(held.through, held.embs)

    def release_leftovers(self) -> None:
        while self.leftovers:
            self.release(self.leftovers.pop())


def pools_of(model: str) -> Pools:
    """The free lists of a model, made at its first use."""
    pools: Pools | None = bound.models.get(model)
    if pools is None:
        pools = bound.models[model] = Pools()
    return pools
