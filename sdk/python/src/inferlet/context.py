"""A text that the model has read, and goes on writing.

`fill` only notes text down; it is run through the model when a distribution is needed, or by `flush`.
"""

from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import aclosing
from types import TracebackType
from typing import Self

from inferlet.ahead import common_prefix
from inferlet.cache import Cache
from inferlet.checks import unsigned, unsigned_list
from inferlet.decoding import Decoder, Settings
from inferlet.dist import Dist
from inferlet.embedding import ONE_WORD, Embedding, from_top
from inferlet.errors import InvalidArgument
from inferlet.matching import CompiledGrammar
from inferlet.model import Message, Model
from inferlet.sampling import KEPT_TOKENS, PickToken, greedy
from inferlet.speculation import Speculator
from inferlet.stopping import StopLike, gather
from inferlet.transcript import Transcript


class Context:
    """A list of tokens, and on a queue of its own the key-value pages with what the model made of them.

    model: a `Model` or its name; without one the default model. adapter: the name of a LoRA adapter that the
    text goes through. Use it in `with`, or call `close`, to give the pages back early; they go back at the
    latest when the program ends.

    After an error of the server (no pages left, the driver died) a context can be used again: it reads its
    text once more then.
    """

    def __init__(self, model: Model | str | None = None, adapter: str | None = None) -> None:
        self.model = model if isinstance(model, Model) else Model(model)
        self.stop_reason: str | None = None
        """Why the last generation ended: "stop_token", "stop_string", "stop_condition", "max_tokens",
        "context_length", "closed" (JSON that one of these two would have cut off)."""
        self._text = Transcript(self.model, Cache(self.model, adapter), [])

    # --- the text ---------------------------------------------------------------------------------------

    @property
    def queue(self) -> int:
        """The queue that this context's commands take."""
        return self._text.cache.queue

    def __len__(self) -> int:
        """Tokens of the text."""
        return len(self._text.tokens)

    @property
    def tokens(self) -> list[int]:
        """The tokens of the text (a copy)."""
        return self._text.tokens[:]

    @property
    def text(self) -> str:
        """The whole text, filled and generated."""
        return self.model.detokenize(self._text.tokens)

    def fill(self, text: str | Iterable[int]) -> None:
        """Appends a text, or tokens. A first text gets the model's beginning token, where it wants one.

        Raises `ContextFull` if it does not fit into the model's context length.
        """
        if not isinstance(text, str):
            self._text.append(unsigned_list("tokens", text))
        elif text:
            self._text.append(self._begun(self.model.tokenize(text)))

    def fill_chat(self, messages: Sequence[Message], add_generation_prompt: bool = True) -> None:
        """Makes the text this conversation, rendered with the model's chat template.

        Give the whole conversation each time: what the context already holds of it is not computed again.
        """
        self.replace(self.model.apply_chat_template(messages, add_generation_prompt))

    def replace(self, text: str) -> None:
        """Makes this the text. What the context holds of its beginning already is not computed again."""
        tokens = self.model.tokenize(text)
        common = common_prefix(self._text.tokens, tokens)
        if common < len(self):
            self.trim(common)
        self._text.append(tokens[common:])

    def trim(self, length: int) -> None:
        """Forgets all but the first `length` tokens."""
        if not 0 <= length <= len(self):
            raise InvalidArgument(f"length must be from 0 to {len(self)}, not {length}")
        self._text.cut(length)

    def mask(self, start: int, end: int | None = None, visible: bool = False) -> None:
        """Hides the tokens from `start` to `end` (exclusive; without it all the rest), or shows them again.

        What was computed before has seen them, and keeps what it made of them; the last token of the text is
        read anew, so the next distribution is already one without them. Positions do not change.
        """
        end = len(self) if end is None else end
        if not 0 <= start <= end <= len(self):
            raise InvalidArgument(f"start and end must be from 0 to {len(self)}, not {start} and {end}")
        if start < end:
            self._text.mask(start, end, visible)

    async def flush(self) -> None:
        """Runs everything filled in so far through the model, and returns when that is done."""
        await self._text.read()

    # --- generation -------------------------------------------------------------------------------------

    async def generate(
        self,
        max_tokens: int = 128,
        sampler: PickToken | None = None,
        stop: StopLike = (),
        stop_tokens: Iterable[int] | None = None,
        *,
        grammar: CompiledGrammar | None = None,
        speculator: Speculator | None = None,
        adapter: str | None = None,
    ) -> str:
        """Continues the text and returns what was added; `stop_reason` says why it ended.

        sampler: a `Sampler` or any function `(Dist) -> int`; greedy without one.
        stop: what ends it beside the model's own stop tokens: strings (they are not part of the result),
            tokens, functions `(text so far) -> bool`, or several of these in a list.
        stop_tokens: tokens that end it, instead of the model's own. They are not added to the text.
        grammar: a `Grammar`; only what it allows is generated, and it ends when the grammar is complete.
        speculator: guesses at the next tokens, like `PromptLookup()`; one forward checks a whole guess. The
            result is the same as without it, but for rounding where passes of different sizes use different
            weights (`--precision auto` with a 4-bit file).
        adapter: the name of a LoRA adapter that the text goes through from here on.

        Raises `ContextFull` where there is no room for a token, `InvalidArgument` for an empty context or a
        grammar that does not compile, and what the server fails with; the context can be used again after it.
        """
        decoder = self.decoder(
            max_tokens, sampler, stop, stop_tokens, grammar=grammar, speculator=speculator, adapter=adapter
        )
        with decoder:
            text = await decoder.run()
        self.stop_reason = decoder.stop_reason
        return text

    async def generate_until(
        self,
        stop: StopLike,
        max_tokens: int = 128,
        sampler: PickToken | None = None,
        *,
        grammar: CompiledGrammar | None = None,
        speculator: Speculator | None = None,
        adapter: str | None = None,
    ) -> str:
        """`generate` up to a condition: `await context.generate_until("\\n")`."""
        return await self.generate(
            max_tokens, sampler, stop, grammar=grammar, speculator=speculator, adapter=adapter
        )

    async def stream(
        self,
        max_tokens: int = 128,
        sampler: PickToken | None = None,
        stop: StopLike = (),
        stop_tokens: Iterable[int] | None = None,
        *,
        grammar: CompiledGrammar | None = None,
        speculator: Speculator | None = None,
        adapter: str | None = None,
    ) -> AsyncGenerator[str, None]:
        """`generate`, piece by piece as the text becomes certain; the pieces are whole characters."""
        decoder = self.decoder(
            max_tokens, sampler, stop, stop_tokens, grammar=grammar, speculator=speculator, adapter=adapter
        )
        with decoder:
            async with aclosing(decoder.pieces()) as pieces:
                async for piece in pieces:
                    self.stop_reason = decoder.stop_reason
                    yield piece
        self.stop_reason = decoder.stop_reason

    async def stream_tokens(
        self,
        max_tokens: int = 128,
        sampler: PickToken | None = None,
        stop: StopLike = (),
        stop_tokens: Iterable[int] | None = None,
        *,
        grammar: CompiledGrammar | None = None,
        speculator: Speculator | None = None,
        adapter: str | None = None,
    ) -> AsyncGenerator[int, None]:
        """`generate`, token by token."""
        decoder = self.decoder(
            max_tokens, sampler, stop, stop_tokens, grammar=grammar, speculator=speculator, adapter=adapter
        )
        with decoder:
            async with aclosing(decoder.each_token()) as tokens:
                async for token in tokens:
                    self.stop_reason = decoder.stop_reason
                    yield token
        self.stop_reason = decoder.stop_reason

    def decoder(
        self,
        max_tokens: int = 128,
        sampler: PickToken | None = None,
        stop: StopLike = (),
        stop_tokens: Iterable[int] | None = None,
        *,
        grammar: CompiledGrammar | None = None,
        speculator: Speculator | None = None,
        adapter: str | None = None,
    ) -> Decoder:
        """A generation driven by hand: `dist`, `take`, `fork`. The parameters are those of `generate`."""
        if adapter is not None:
            self._text.cache.use_adapter(adapter)
        own = self.model.stop_tokens if stop_tokens is None else frozenset(stop_tokens)
        if grammar is not None:
            own |= self.model.stop_tokens  # with one of these the grammar is complete
        settings = Settings(
            unsigned("max_tokens", max_tokens), sampler or greedy(), gather(stop, own), grammar, speculator
        )
        self.stop_reason = None
        return Decoder(self._text, settings)

    async def next_dist(self, top_k: int = KEPT_TOKENS, tokens: Sequence[int] = ()) -> Dist:
        """The distribution of the next token; `fill([token])` goes on with the one you pick.

        top_k: how many of the best tokens are kept. tokens: their exact log-probabilities are kept too.
        """
        scored = unsigned_list("tokens", tokens) if tokens else []
        return await self._text.dist(unsigned("top_k", top_k), scored)

    # --- judging ----------------------------------------------------------------------------------------

    async def score(self, continuation: str | Iterable[int]) -> list[float]:
        """The natural log-probability of each token of a continuation, given the text and the tokens before.

        The text stays as it is. The sum is the log-probability of the whole continuation.
        """
        return await self._text.score(self._continuation(continuation))

    async def choose(self, options: Sequence[str], per_token: bool = False) -> str:
        """The most probable of several continuations; `fill` it to go on with it.

        per_token: compares mean log-probabilities, so that long options have a chance against short ones.
        """
        scores = await self.score_all(options)
        if not scores:
            raise InvalidArgument("`options` is empty: give at least one continuation to choose")
        totals = [sum(score) / (len(score) if per_token else 1) for score in scores]
        return options[totals.index(max(totals))]

    async def score_all(self, options: Sequence[str]) -> list[list[float]]:
        """`score` of several continuations, all asked for at once."""
        return await self._text.score_all([self._continuation(option) for option in options])

    async def embed(self, question: str = ONE_WORD) -> Embedding:
        """What the text is about, as a sparse vector over the vocabulary, for comparing texts.

        question: is asked behind the text, which stays as it is; all that the model might answer in one token
            is the vector. Compare only those of one model and one question, with `similarity`.
        """
        with self.fork() as child:
            child.fill(question)
            return from_top((await child.next_dist()).top(KEPT_TOKENS))

    def _continuation(self, text: str | Iterable[int]) -> list[int]:
        tokens = self.model.tokenize(text) if isinstance(text, str) else unsigned_list("continuation", text)
        if not tokens:
            raise InvalidArgument("a continuation has at least one token")
        return tokens

    # --- life -------------------------------------------------------------------------------------------

    def fork(self) -> "Context":
        """A context with the same text that goes its own way. It shares the pages; a shared page is copied
        when one of the two writes to it."""
        child = Context.__new__(Context)
        child.model = self.model
        child.stop_reason = None
        child._text = self._text.fork()
        return child

    def close(self) -> None:
        """Gives pages and embeddings back. The context cannot be used after that."""
        self._text.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _begun(self, tokens: list[int]) -> list[int]:
        bos = self.model.bos_token
        return [bos, *tokens] if bos is not None and not len(self) and tokens[:1] != [bos] else tokens
