"""What the model made of a text: key-value pages, and the commands that fill, share and hide them.

Token i of the text has position i and lies in slot i of its pages, always. So what stands in the pages behind
the text (a run went too far, a text was cut) does no harm: it has a later position than whatever is computed
before it is written over, and a forward does not see what it writes over.
"""

from collections.abc import Sequence
from typing import NamedTuple

from inferlet import raw
from inferlet.ahead import Ahead
from inferlet.errors import InferletError, InvalidArgument
from inferlet.futures import Future
from inferlet.host import bound
from inferlet.model import Model
from inferlet.pools import Holdings
from inferlet.raw import SamplingSpec

PREFILL_TOKENS = 256
"""Tokens of one forward: bounds the embeddings that a long text needs at a time."""
HELD_EMBS = 16
"""Input embeddings that a cache keeps between guesses; between other forwards it keeps one."""


class Mark(NamedTuple):
    """From token `at` on, tokens see (or not) those from `start` to `end`."""

    at: int
    start: int
    end: int
    visible: bool


class Cache:
    """The pages of one text, with the queue that writes them. The first `stored` tokens have been run."""

    def __init__(self, model: Model, adapter: str | None = None) -> None:
        self.adapter = adapter
        """The LoRA adapter that tokens go through from now on."""
        self._model = model
        self._size = model.page_size
        self._pools = model.pools
        self._pools.release_leftovers()
        self.queue = self._pools.take_queue(model.name)
        self._pages: list[int] = []
        self._inputs: list[int] = []
        self._outputs: list[int] = []
        self._has_output = False
        """The first output embedding holds the hidden state of the last stored token."""
        self.stored = 0
        self.quiet = True
        """Nothing is queued that has not been executed."""
        self.run: Ahead | None = None
        """What decodes ahead now."""
        self.origin: Future[None] | None = None
        """Ready when the fork that made this cache has been executed, on the queue `_origin_queue`."""
        self._origin_queue = self.queue
        self._marks: list[Mark] = []
        self._applied = 0
        """So many of the marks the pages show."""
        self._hidden: set[int] = set()
        """Tokens that are hidden by those."""
        self._resets = self._pools.resets.get(self.queue, 0)
        self._broken = False
        self._closed = False

    # --- state ------------------------------------------------------------------------------------------

    @property
    def closed(self) -> bool:
        return self._closed

    def use_adapter(self, adapter: str | None) -> None:
        """What is read from now on goes through this adapter; the last token is read again."""
        if adapter != self.adapter:
            there = raw.available_adapters(self._model.name)
            if adapter is not None and adapter not in there:  # a context that keeps it could never go on
                raise InvalidArgument(f"no adapter {adapter!r}; there are: {', '.join(there) or 'none'}")
            self.adapter = adapter
            self._has_output = False

    def check_open(self) -> None:
        if self._closed:
            raise InvalidArgument("this context is closed: make a new one, or close it later")

    def keep(self, count: int) -> None:
        """At most the first `count` tokens are still part of the text."""
        if count < self.stored:
            self.stored = count
            self._has_output = False

    def forget(self, tokens: Sequence[int]) -> None:
        """The text was cut to `tokens`: what was hidden behind that does not stay hidden."""
        self.end_run(tokens)
        length = len(tokens)
        self.keep(max(0, length - 1))
        if self._marks:
            cut = [mark._replace(at=min(mark.at, length), end=min(mark.end, length)) for mark in self._marks]
            behind = range(length, max(mark.end for mark in self._marks))
            self._marks = cut
            self._hidden = {token for token in self._hidden if token < length}
            self._show(behind)

    def end_run(self, tokens: Sequence[int]) -> None:
        """Ends the run that is under way, if any. What it has read counts as far as `tokens`, the text, has
        taken it."""
        run, self.run = self.run, None
        if run is not None:
            self.stored = run.known(tokens)
            if not run.over:
                bound.host.futures.drop([run.future.id])
                run.future.end()

    def fail(self, error: InferletError, length: int) -> None:
        """Something of this context has failed: what it knows of its pages may be wrong."""
        self._broken = True
        self.run = None
        error.add_note(
            f"The context on queue {self.queue} can be used again: it resets the queue then and reads its "
            f"{length} tokens once more. Where memory is short, `trim` it or `close` others first."
        )

    def _mend(self) -> None:
        """Begins again after a failure: a working queue, and nothing computed."""
        if not self._broken and self._pools.resets.get(self.queue, 0) == self._resets:
            return
        self._pools.give_back(self._holdings(), reset=True)
        self._resets = self._pools.resets[self.queue]
        self._pages, self._inputs, self._outputs = [], [], []
        self.stored = self._applied = 0
        self._hidden = set()
        self._has_output = self._broken = False
        self.origin, self._origin_queue = None, self.queue
        self.quiet = True

    async def settle(self) -> None:
        """Waits until the pages shared by a fork are there."""
        if self.origin is not None:
            await self.origin
            self.origin = None

    # --- reading ----------------------------------------------------------------------------------------

    def read(self, tokens: Sequence[int], end: int, outputs: int = 1) -> list[int]:
        """Queues the tokens before `end` that have not been run. At least the last one is run if there is no
        hidden state of it. Returns the embeddings with the hidden states of the last `outputs` of them."""
        self.check_open()
        self.end_run(tokens)
        self._mend()
        if outputs > 1 or (self.stored >= end and not (self._has_output and self.stored == end)):
            self.stored = min(self.stored, end - outputs)
        if self.stored < end:
            self.quiet = False
            self._has_output = False
            self._outputs += self._take_embs(outputs - len(self._outputs))
            while self.stored < end:
                self._read_piece(tokens, end, outputs)
            self._has_output = True
        return self._outputs[:outputs]

    def read_up_to(self, tokens: Sequence[int], end: int) -> None:
        """Queues the tokens before `end` that have not been run; nobody wants their hidden states."""
        self.end_run(tokens)
        self._mend()
        if self.stored < end:
            self.read(tokens, end)

    def _read_piece(self, tokens: Sequence[int], end: int, outputs: int) -> None:
        self._apply_marks()
        start = self.stored
        ahead = [mark.at for mark in self._marks[self._applied :]]
        stop = min(start + PREFILL_TOKENS, end, *ahead)
        if 0 < end - stop < outputs:
            stop = end - outputs  # the hidden states that are wanted come from one forward
        piece = tokens[start:stop]
        embs, more = self._borrow_embs(len(piece), HELD_EMBS if outputs > 1 else 1)
        positions = range(start, stop)
        raw.embed_txt(self.queue, piece, positions, embs)
        self._grow(stop)
        size = self._size
        seen, written = self._pages[: -(-start // size)], self._pages[start // size : -(-stop // size)]
        self._forward(seen, embs, written, start % size, self._outputs[:outputs] if stop == end else [])
        self._give_embs(more)
        self.stored = stop
        if not self._hidden.isdisjoint(range(start, stop)):
            self._show(range(start, stop))  # a token that is written again may be visible again

    def _forward(
        self, seen: list[int], embs: list[int], written: list[int], offset: int, outputs: list[int],
        mask: list[list[int]] | None = None,
    ) -> None:
        if self.adapter is None:
            raw.forward(self.queue, seen, embs, written, offset, outputs, mask=mask)
        else:
            raw.forward_with_adapter(
                self.queue, self.adapter, seen, embs, written, offset, outputs, mask=mask
            )

    def begin_run(
        self, spec: SamplingSpec, count: int, stop: Sequence[int], chunk: int, matcher: int | None
    ) -> Ahead:
        """Decodes `count` tokens ahead; `read` came right before."""
        position = self.stored
        self._inputs += self._take_embs(1 - len(self._inputs))
        self._grow(position + count - 1)
        self._has_output = False
        self.quiet = False
        future = raw.decode_ahead(
            self.queue, spec, position, self._pages, position, self._inputs[0], self._outputs[0], count, stop,
            chunk, matcher, self.adapter,
        )
        self.run = Ahead(future, position, count, stop)
        return self.run

    def score(self, tokens: list[int], continuation: list[int]) -> Future[list[float]]:
        """The log-probabilities of a continuation that is not kept; at most `PREFILL_TOKENS` of it."""
        self.read_up_to(tokens, len(tokens) - 1)
        self._apply_marks()
        known = len(tokens) - 1
        count = len(continuation)
        inputs, outputs = self._take_embs(count), self._take_embs(count)
        raw.embed_txt(
            self.queue, [tokens[-1], *continuation[:-1]], range(known, known + count), inputs
        )
        pages = self._pages[: -(-known // self._size)]
        # The pages may hold others at these positions; nothing is written over here, so they are hidden.
        behind = len(pages) * self._size - known
        rows = [[0, known, behind, row + 1] for row in range(count)]
        self.quiet = False
        self._forward(pages, inputs, [], 0, outputs, rows)
        found = raw.logprobs(self.queue, outputs, continuation)
        self._give_embs(inputs + outputs)
        return found

    # --- who sees what ----------------------------------------------------------------------------------

    def mask(self, tokens: Sequence[int], start: int, end: int, visible: bool) -> None:
        """Hides (or shows) tokens; the last token of the text and all later ones see it so."""
        last = max(0, len(tokens) - 1)
        self.read_up_to(tokens, last)
        self.keep(last)
        self._marks.append(Mark(last, start, end, visible))

    def _apply_marks(self) -> None:
        """Shows in the pages what holds for the next token."""
        while self._applied < len(self._marks) and self._marks[self._applied].at <= self.stored:
            mark = self._marks[self._applied]
            span = range(mark.start, mark.end)
            self._hidden = self._hidden.difference(span) if mark.visible else self._hidden.union(span)
            self._applied += 1
            self._show(span)

    def _show(self, changed: range) -> None:
        """Tells the pages of these tokens which are hidden."""
        size, hidden = self._size, self._hidden
        for page in range(changed.start // size, min(-(-changed.stop // size), len(self._pages))):
            bits = sum(1 << slot for slot in range(size) if page * size + slot not in hidden)
            raw.mask_kvpage(self.queue, self._pages[page], bits)

    # --- sharing ----------------------------------------------------------------------------------------

    def fork(self, tokens: Sequence[int]) -> "Cache":
        """A cache that shares the pages until one of the two writes to them."""
        self.check_open()
        self.end_run(tokens)
        self._mend()
        child = Cache(self._model, self.adapter)
        child.stored = self.stored
        child._marks, child._applied, child._hidden = self._marks[:], self._applied, self._hidden.copy()
        used = self._pages[: -(-self.stored // self._size)]
        if used:
            child._share(self, used)
        return child

    def _share(self, parent: "Cache", pages: list[int]) -> None:
        """Takes part in the parent's pages, through the queue in which what wrote them stands."""
        self._pages = self._pools.pages.take(len(pages))
        if parent.quiet and parent.origin is None:
            raw.fork_kvpage(self.queue, pages, self._pages)
            return
        raw.fork_kvpage(parent.through, pages, self._pages)
        self.come_after(parent.through)

    @property
    def through(self) -> int:
        """The queue that knows the pages: another context's, as long as a fork has not been executed."""
        return self.queue if self.origin is None else self._origin_queue

    def come_after(self, queue: int) -> None:
        """What this cache was forked from is there when what this queue holds has been executed."""
        self.origin, self._origin_queue = raw.synchronize(queue), queue

    def export(self, name: str, count: int, lease_seconds: float | None, about: bytes) -> None:
        """Publishes the pages of the first `count` tokens, which have been read."""
        pages = self._pages[: -(-count // self._size)]
        raw.export_kvpage(self.queue, pages, name, lease_seconds, 0, about)

    def take_import(self, name: str, pages: int, count: int) -> None:
        """Maps published pages that hold `count` tokens. The last one is forked: it will be written to."""
        taken = self._pools.pages.take(pages)
        raw.import_kvpage(self.queue, name, taken)
        self._pages, self.stored = taken, count
        own = self._pools.pages.take(1)
        raw.fork_kvpage(self.queue, taken[-1:], own)
        raw.dealloc_kvpage(self.queue, taken[-1:])
        self._pools.pages.give(taken[-1:])
        taken[-1:] = own

    # --- giving back ------------------------------------------------------------------------------------

    def release_unused(self) -> None:
        """Gives back the pages behind the text."""
        first = -(-self.stored // self._size)
        pages = self._pages[first:]
        if pages and self.origin is None and not self._broken:
            raw.dealloc_kvpage(self.queue, pages)
            del self._pages[first:]
            self._pools.pages.give(pages)

    def release_spare(self) -> None:
        """Gives back the embeddings that only guesses need; whoever decodes one by one needs one of each."""
        if not (self._broken or self._closed):
            self._give_embs(self._inputs[1:] + self._outputs[1:])
            del self._inputs[1:], self._outputs[1:]

    def close(self) -> None:
        """Gives everything back."""
        if not self._closed:
            self.end_run(())
            self._closed = True
            self._pools.release(self._holdings())

    def __del__(self) -> None:
        # Only noted here: a collection may come in the middle of another host call.
        if not getattr(self, "_closed", True):
            self._pools.leftovers.append(self._holdings())

    def _holdings(self) -> Holdings:
        return Holdings(self.queue, self._pages, self._inputs + self._outputs, self.through)

    def _grow(self, tokens: int) -> None:
        """Pages for so many tokens."""
        missing = -(-tokens // self._size) - len(self._pages)
        if missing > 0:
            pages = self._pools.pages.take(missing)
            raw.alloc_kvpage(self.queue, pages)
            self._pages += pages

    def _borrow_embs(self, count: int, held: int) -> tuple[list[int], list[int]]:
        """Embeddings for inputs; and those of them that are to be given back. `held`: how many to keep."""
        self._inputs += self._take_embs(min(count, held) - len(self._inputs))
        more = self._take_embs(count - len(self._inputs))
        return self._inputs[:count] + more, more

    def _take_embs(self, count: int) -> list[int]:
        if count <= 0:
            return []
        embs = self._pools.embs.take(count)
        raw.alloc_emb(self.queue, embs)
        return embs

    def _give_embs(self, embs: list[int]) -> None:
        if embs:
            raw.dealloc_emb(self.queue, embs)
            self._pools.embs.give(embs)
