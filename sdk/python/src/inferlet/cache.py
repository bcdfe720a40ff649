"""What the model made of a text: key-value pages, and the commands that fill, share and cut them."""

from inferlet import raw
from inferlet.errors import InvalidArgument
from inferlet.futures import Future
from inferlet.host import bound, translate
from inferlet.model import Model
from inferlet.pools import Holdings
from inferlet.raw import Span

PREFILL_TOKENS = 256
"""Tokens of one forward: bounds the embeddings that a long text needs at a time."""


class Cache:
    """The pages of one text, in order and full but for the last, with the queue that writes them.

    The first `stored` tokens have been run; `kept` of those are still part of the text.
    """

    def __init__(self, model: Model) -> None:
        self._host = bound.host
        self._model = model
        self._size = model.page_size
        self._pools = model.pools
        self._pools.release_leftovers()
        self.queue = self._pools.take_queue(model.name)
        self._pages: list[int] = []
        self._input: list[int] = []
        self._output: list[int] = []
        self._has_output = False
        """The output embedding holds the hidden state of the last stored token (and nothing is to cut)."""
        self.stored = 0
        self.kept = 0
        self.quiet = True
        """Nothing is queued that has not been executed."""
        self.origin: Future[None] | None = None
        """Ready when the fork that made this cache has been executed, on the queue `_origin_queue`."""
        self._origin_queue = self.queue
        self._closed = False

    def check_open(self) -> None:
        if self._closed:
            raise InvalidArgument("this context is closed: make a new one, or close it later")

    def keep(self, count: int) -> None:
        """At most the first `count` tokens are still part of the text."""
        if count < self.kept:
            self.kept = count
            self._has_output = False

    async def settle(self) -> None:
        """Waits until the pages shared by a fork are there."""
        if self.origin is not None:
            await self.origin
            self.origin = None

    def next_dist(self, tokens: list[int], top_k: int, scored: list[int]) -> int:
        """The future of the distribution after `tokens`; what of them has not been run is queued first."""
        self.check_open()
        pending = len(tokens) - self.kept
        if self._has_output and pending == 1 and not scored:
            return self._step(tokens[-1], top_k)
        if pending or not self._has_output:
            self.keep(len(tokens) - 1)
            self.prefill(tokens, len(tokens))
        return self._ask_dist(top_k, scored)

    def prefill_if_settled(self, tokens: list[int], end: int) -> None:
        """`prefill`, unless the queue that knows the pages is another one's."""
        if self.origin is None:
            self.prefill(tokens, end)

    def prefill(self, tokens: list[int], end: int) -> None:
        """Queues the tokens before `end` that have not been run, in pieces."""
        self.check_open()
        if end <= self.kept:
            return
        self.quiet = False
        self._cut()
        if not self._output:
            self._input, self._output = self._take_embs(1), self._take_embs(1)
        more = self._take_embs(min(PREFILL_TOKENS, end - self.stored) - 1)
        while self.stored < end:
            piece = tokens[self.stored : min(self.stored + PREFILL_TOKENS, end)]
            last = self.stored + len(piece) == end
            self._run(piece, (self._input + more)[: len(piece)], self._output if last else [])
        self._give_embs(more)
        self._has_output = True

    def fork(self) -> "Cache":
        """A cache that shares the pages until one of the two writes to them."""
        self.check_open()
        child = Cache(self._model)
        child.stored, child.kept = self.stored, self.kept
        if self._pages:
            child._share(self)
        return child

    def close(self) -> None:
        """Gives everything back."""
        if not self._closed:
            self._closed = True
            self._pools.release(self._holdings())

    def __del__(self) -> None:
        # Only noted here: a collection may come in the middle of another host call.
        if not getattr(self, "_closed", True):
            self._pools.leftovers.append(self._holdings())

    def _holdings(self) -> Holdings:
        through = self.queue if self.origin is None else self._origin_queue
        return Holdings(self.queue, self._pages, self._input + self._output, through)

    def can_run(self, tokens: list[int]) -> bool:
        """Whether only the last of `tokens` has not been run: a greedy run may begin with it."""
        return self.origin is None and self._has_output and len(tokens) - self.kept == 1

    def begin_run(self, token: int, count: int, stop: list[int]) -> int:
        """The future of a greedy run of up to `count` tokens. Until `end_run` nobody knows how far it is."""
        self.check_open()
        position = self.stored
        self._grow(-(-(position + count) // self._size) - len(self._pages))
        self.quiet = False
        try:
            run = self._host.output_text.decode_greedy(
                self.queue, token, position, self._pages, self._input[0], self._output[0], count, stop
            )
        except self._host.error as failure:
            raise translate(failure) from None
        self.stored, self._has_output = position + count, False
        return run

    def end_run(self, count: int) -> None:
        """The run gave `count` tokens; all but the last, and the one it began with, have been run."""
        self.stored = self.kept = self.kept + count
        self._has_output = True

    def _ask_dist(self, top_k: int, scored: list[int]) -> int:
        try:
            return self._host.output_text.get_next_dist(self.queue, self._output[0], top_k, scored)
        except self._host.error as failure:
            raise translate(failure) from None

    def _step(self, token: int, top_k: int) -> int:
        """One more token: the whole of ordinary decoding, so no detours here."""
        host, position, seen = self._host, self.stored, self._pages
        page, offset = divmod(position, self._size)
        if page == len(seen):
            seen = seen[:]
            self._grow(1)
        elif len(seen) > page + 1 or offset == 0:
            seen = seen[: page + 1 if offset else page]
        self.quiet = False
        try:
            dist = host.output_text.decode_step(
                self.queue, token, position, seen, self._input[0], self._pages[page], offset,
                self._output[0], top_k,
            )
        except host.error as failure:
            raise translate(failure) from None
        self.stored = self.kept = position + 1
        return dist

    def _run(self, tokens: list[int], embs: list[int], output: list[int]) -> None:
        start, size = self.stored, self._size
        end = start + len(tokens)
        self._grow(-(-end // size) - len(self._pages))
        raw.embed_txt(self.queue, tokens, range(start, end), embs)
        seen, written = self._pages[: -(-start // size)], self._pages[start // size :]
        raw.forward(self.queue, seen, embs, written, start % size, output)
        self.stored = self.kept = end

    def _share(self, parent: "Cache") -> None:
        """Takes part in the parent's pages, through the queue in which what wrote them stands."""
        self._pages = self._pools.pages.take(len(parent._pages))
        if parent.quiet and parent.origin is None:
            raw.fork_kvpage(self.queue, parent._pages, self._pages)
            return
        self._origin_queue = parent.queue if parent.origin is None else parent._origin_queue
        raw.fork_kvpage(self._origin_queue, parent._pages, self._pages)
        self.origin = raw.synchronize(self._origin_queue)

    def _cut(self) -> None:
        """Drops what the pages hold beyond the tokens that still count."""
        kept, size = self.kept, self._size
        if kept == self.stored:
            return
        full = kept // size
        if kept % size:
            # Left in the page, the old tokens would be seen beside the new ones at the same positions.
            fresh = self._take_pages(1)
            raw.copy_kvpage(self.queue, self._pages[full : full + 1], fresh, [Span(0, 0, kept % size)])
            self._drop_pages(full)
            self._pages += fresh
        else:
            self._drop_pages(full)
        self.stored = kept

    def _grow(self, count: int) -> None:
        if count > 0:
            self._pages += self._take_pages(count)

    def _take_pages(self, count: int) -> list[int]:
        pages = self._pools.pages.take(count)
        raw.alloc_kvpage(self.queue, pages)
        return pages

    def _drop_pages(self, first: int) -> None:
        pages = self._pages[first:]
        if pages:
            raw.dealloc_kvpage(self.queue, pages)
            del self._pages[first:]
            self._pools.pages.give(pages)

    def _take_embs(self, count: int) -> list[int]:
        embs = self._pools.embs.take(count)
        if embs:
            raw.alloc_emb(self.queue, embs)
        return embs

    def _give_embs(self, embs: list[int]) -> None:
        if embs:
            raw.dealloc_emb(self.queue, embs)
            self._pools.embs.give(embs)
