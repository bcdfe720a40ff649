"""A list of tokens and what the model made of them: what contexts and generations work on."""

from collections.abc import Callable, Sequence
from typing import ParamSpec, TypeVar

from inferlet import raw
from inferlet.ahead import Ahead
from inferlet.cache import PREFILL_TOKENS, Cache
from inferlet.dist import Dist
from inferlet.errors import ContextFull, InferletError, InvalidArgument
from inferlet.futures import Future
from inferlet.model import Model
from inferlet.raw import SamplingSpec

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")


class Transcript:
    """The tokens of one text, and the cache with their pages."""

    __slots__ = ("_waiting", "cache", "model", "tokens")

    def __init__(self, model: Model, cache: Cache, tokens: list[int]) -> None:
        self.model = model
        self.cache = cache
        self.tokens = tokens
        self._waiting = False

    # --- the tokens -------------------------------------------------------------------------------------

    def append(self, tokens: Sequence[int]) -> None:
        """Raises `ContextFull` if they do not fit, and appends nothing then."""
        self.check_room(len(tokens))
        self.tokens.extend(tokens)

    def cut(self, length: int) -> None:
        """Forgets all but the first `length` tokens, and gives pages back."""
        del self.tokens[length:]
        # The last token is run again, for the hidden state that the next distribution starts from.
        self._do(self.cache.forget, self.tokens)
        self._do(self.cache.release_unused)

    def check_room(self, count: int) -> None:
        """Raises `ContextFull` if `count` more tokens do not fit."""
        self.cache.check_open()
        most = self.model.context_length
        if len(self.tokens) + count > most:
            raise ContextFull(
                f"{count} more tokens do not fit: the context holds {len(self.tokens)} of the {most} that "
                f"{self.model.name} can see; shorten the text or `trim` the context"
            )

    # --- the model --------------------------------------------------------------------------------------

    async def dist(self, top_k: int, scored: list[int], matcher: int | None = None) -> Dist:
        """The distribution of the next token; only of those that a matcher allows."""
        [output] = await self.read_ahead([])
        return await self.wait(self.ask(output, 0, top_k, scored, matcher))

    async def read_ahead(self, draft: Sequence[int]) -> list[int]:
        """Reads the text and then `draft`: the embeddings after the text's last token and each of `draft`.

        What is read of the draft counts for the text as soon as it is appended (`confirm`).
        """
        self.check_alone()
        if not self.tokens:
            raise InvalidArgument("the context is empty: `fill` in a text first")
        await self.settle()
        length = len(self.tokens)
        if not draft:
            return self._do(self.cache.read, self.tokens, length, 1)
        outputs = self._do(self.cache.read, [*self.tokens, *draft], length + len(draft), len(draft) + 1)
        self.cache.keep(length)
        return outputs

    def ask(
        self, output: int, index: int, top_k: int, scored: list[int], matcher: int | None = None
    ) -> Dist:
        """The distribution at an output embedding, `index` tokens behind the text."""
        queue = self.cache.queue
        if matcher is None:
            dist = self._do(raw.get_next_dist, queue, output, top_k, scored)
        else:
            dist = self._do(raw.get_masked_dist, queue, output, matcher, top_k, scored)
        dist.position = len(self.tokens) + index
        return dist

    def confirm(self) -> None:
        """The token appended last is one that `read_ahead` has read as part of its draft."""
        self.cache.stored = len(self.tokens)

    async def begin_run(
        self, spec: SamplingSpec, count: int, stop: Sequence[int], chunk: int, matcher: int | None
    ) -> Ahead:
        """Decoding ahead of up to `count` tokens; they are to be appended as they come."""
        await self.read_ahead([])
        return self._do(self.cache.begin_run, spec, count, stop, chunk, matcher)

    async def more_of(self, run: Ahead) -> list[int]:
        """Tokens of a run that have come since."""
        tokens = await self.wait(run.future)
        run.add(tokens)
        self.cache.quiet = run.over
        return tokens

    def end_guesses(self) -> None:
        """Gives back what only guesses need."""
        self._do(self.cache.release_spare)

    def end_run(self, run: Ahead) -> None:
        """Ends a run, if it is still the one under way."""
        if self.cache.run is run:
            self._do(self.cache.end_run, self.tokens)

    async def read(self) -> None:
        """Reads the whole text, and returns when that is done."""
        await self.settle()
        self._do(self.cache.read, self.tokens, len(self.tokens))
        await self.wait(self._do(raw.synchronize, self.cache.queue))

    async def score(self, continuation: list[int]) -> list[float]:
        """The log-probability of each token of a continuation."""
        [score] = await self.score_all([continuation])
        return score

    async def score_all(self, continuations: Sequence[list[int]]) -> list[list[float]]:
        """`score` of several, each for itself; all are asked for before the first is waited for."""
        if not self.tokens:
            raise InvalidArgument("the context is empty: `fill` in a text to be continued first")
        self.check_alone()
        self.check_room(max(map(len, continuations), default=0))
        await self.settle()
        asked = [self._do(self.cache.score, self.tokens, each[:PREFILL_TOKENS]) for each in continuations]
        scores = [list(await self.wait(future)) for future in asked]
        for score, continuation in zip(scores, continuations, strict=True):
            if len(continuation) > PREFILL_TOKENS:
                score += await self._score_rest(continuation)
        return scores

    async def _score_rest(self, continuation: list[int]) -> list[float]:
        more = self.fork()
        try:
            more.append(continuation[:PREFILL_TOKENS])
            return await more.score(continuation[PREFILL_TOKENS:])
        finally:
            more.close()

    async def export(self, name: str, lease_seconds: float | None, about: bytes) -> None:
        """Reads the whole text and publishes its pages. A name that cannot be had harms nothing."""
        await self.read()
        self.cache.export(name, len(self.tokens), lease_seconds, about)
        await self.wait(self._do(raw.synchronize, self.cache.queue))

    def take_import(self, name: str, pages: int, tokens: list[int]) -> None:
        """Begins with published pages that hold these tokens."""
        self.cache.take_import(name, pages, len(tokens))
        self.tokens += tokens

    def mask(self, start: int, end: int, visible: bool) -> None:
        """Hides or shows tokens for the last token and all later ones."""
        self._do(self.cache.mask, self.tokens, start, end, visible)

    # --- waiting ----------------------------------------------------------------------------------------

    async def settle(self) -> None:
        """Waits until the pages that a fork shares are there."""
        if self.cache.origin is not None:
            await self.wait(self.cache.origin)
            self.cache.origin = None

    async def wait(self, future: Future[T]) -> T:
        """Waits for something that this text's queue was asked for."""
        self._waiting = True
        try:
            value = await future
        except InferletError as error:
            self.cache.fail(error, len(self.tokens))
            raise
        finally:
            self._waiting = False
        run = self.cache.run
        self.cache.quiet = run is None or run.over
        return value

    def check_alone(self) -> None:
        if self._waiting:
            raise RuntimeError("two tasks generate on one context at the same time: give each a `fork()`")

    def _do(self, command: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Calls something that queues commands; after a failure the cache knows that it must begin again."""
        try:
            return command(*args, **kwargs)
        except InferletError as error:
            if not self.cache.closed:
                self.cache.fail(error, len(self.tokens))
            raise

    # --- life -------------------------------------------------------------------------------------------

    def fork(self) -> "Transcript":
        """The same text with pages of its own, shared until one of the two writes to them."""
        # Both run the last token themselves: its hidden state is what they go on from.
        if self.cache.origin is None:
            self._do(self.cache.read_up_to, self.tokens, len(self.tokens) - 1)
        cache = self._do(self.cache.fork, self.tokens)
        cache.keep(max(0, len(self.tokens) - 1))
        return Transcript(self.model, cache, self.tokens[:])

    def close(self) -> None:
        """Gives everything back."""
        self.cache.close()
