"""A generation in progress: a small loop whose parts can be replaced.

What picks the token (a `Sampler` or a function), what may come next (a grammar), what guesses (a speculator),
what ends it (stop conditions) and who goes on from here (forks: a beam) know nothing of one another.
"""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from types import TracebackType
from typing import NamedTuple, Self

from inferlet.checks import unsigned, unsigned_list
from inferlet.closing import closed_in_time, watched_tokens
from inferlet.dist import Dist
from inferlet.errors import InvalidArgument
from inferlet.matching import CompiledGrammar, Matcher
from inferlet.sampling import KEPT_TOKENS, PickToken
from inferlet.speculation import Speculator
from inferlet.steps import STREAMED, WATCHED, WHOLE, Bursts, Pace, Plan, steps
from inferlet.stopping import Stops
from inferlet.text import TextStream
from inferlet.transcript import Transcript


class Settings(NamedTuple):
    """How a text goes on."""

    max_tokens: int
    pick: PickToken
    stops: Stops
    grammar: CompiledGrammar | None
    speculate: Speculator | None


class Decoder:
    """Goes on with a context's text; made by `Context.decoder`.

    `dist` and `take` are one step by hand; `run` does all steps. `fork` gives a second one that goes its own
    way from here, with a text, a place in the grammar and a count of tokens of its own.
    """

    def __init__(self, text: Transcript, settings: Settings, owns_text: bool = False) -> None:
        self.tokens: list[int] = []
        """What was added to the text so far."""
        self.stop_reason: str | None = None
        """Why it ended: "stop_token", "stop_string", "stop_condition", "max_tokens", "context_length",
        "closed" (JSON that one of these two would have cut off); None before that."""
        self._text = text
        self._settings = settings
        self._owns_text = owns_text
        self._matcher: Matcher | None = None
        self._ahead = False
        """Steps were begun: if they were left early, the matcher has moved on by tokens that nobody took."""
        self._at_stop_token = "stop_token"
        """What to say when one comes."""
        self._stream = TextStream(settings.stops.strings)
        self._pieces: list[str] = []
        self._undecoded: list[int] = []
        text.check_room(min(settings.max_tokens, 1))
        if settings.max_tokens == 0:
            self.stop_reason = "max_tokens"

    @property
    def done(self) -> bool:
        """Whether it has ended."""
        return self.stop_reason is not None

    @property
    def text(self) -> str:
        """What was added, as far as it is certain: whole characters, and nothing of a stop string."""
        self._decode()
        return "".join(self._pieces)

    async def dist(self, top_k: int = KEPT_TOKENS, tokens: Sequence[int] = ()) -> Dist:
        """The distribution of the next token; with a grammar, of those that it allows."""
        await self._start()
        scored = unsigned_list("tokens", tokens) if tokens else []
        matcher = None if self._matcher is None else self._matcher.id
        dist = await self._text.dist(unsigned("top_k", top_k), scored, matcher)
        dist.seen = self.tokens
        return dist

    def take(self, token: int) -> bool:
        """Goes on with this token; False if that has ended it."""
        if self._ahead:
            self._leave_matcher()
        if self._matcher is not None:
            self._matcher.advance(token)
        elif self._settings.grammar is not None:
            raise InvalidArgument("with a grammar, ask for `dist()` before `take`")
        self._accept([unsigned("token", token, self._text.model.vocabulary_size - 1)])
        return not self.done

    async def run(self) -> str:
        """Goes on to the end; the whole text that was added."""
        async with aclosing(await self._steps(WATCHED if self._settings.stops.textual else WHOLE)) as bursts:
            while not self.done:
                self._accept(await anext(bursts))
        return self.text

    async def pieces(self) -> AsyncGenerator[str, None]:
        """Goes on to the end, piece by piece as the text becomes certain."""
        self._decode()
        given = len(self._pieces)
        async with aclosing(await self._steps(STREAMED)) as bursts:
            while not self.done:
                self._accept(await anext(bursts))
                self._decode()
                if len(self._pieces) > given:
                    yield "".join(self._pieces[given:])
                    given = len(self._pieces)

    async def each_token(self) -> AsyncGenerator[int, None]:
        """Goes on to the end, token by token."""
        async with aclosing(await self._steps(STREAMED)) as bursts:
            textual = self._settings.stops.textual
            while not self.done:
                for token in await anext(bursts):
                    self._add([token])
                    if textual:
                        self._decode()
                    if token not in self._settings.stops.tokens:
                        yield token
                    if self.stop_reason is not None:
                        return

    # --- life -------------------------------------------------------------------------------------------

    def fork(self) -> "Decoder":
        """One that goes its own way from here. `close` it, or use it in `with`, to give its pages back."""
        self._decode()
        other = Decoder(self._text.fork(), self._settings, owns_text=True)
        other.tokens = self.tokens[:]
        other.stop_reason = self.stop_reason
        if self._matcher is not None and not self._ahead:
            other._matcher = self._matcher.fork(other._text.cache)
        other._stream = self._stream.copy()
        other._pieces = self._pieces[:]
        return other

    def close(self) -> None:
        """Gives back what it holds: a fork its pages too."""
        self._leave_matcher()
        if self._owns_text:
            self._text.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # --- parts ------------------------------------------------------------------------------------------

    async def _steps(self, pace: Pace) -> Bursts:
        await self._start()
        self._ahead = True
        settings = self._settings
        stop = sorted(settings.stops.tokens)
        plan = Plan(
            self._text, settings.pick, stop, self.tokens, self._left, settings.speculate, self._matcher
        )
        watched = watched_tokens(settings.grammar, self._left()) if self._matcher is not None else 0
        if self._matcher is None or not watched:
            return steps(plan, pace)
        return closed_in_time(plan, self._matcher, watched, pace, self._note_closing)

    def _note_closing(self) -> None:
        self._at_stop_token = "closed"

    def _leave_matcher(self) -> None:
        self._ahead = False
        if self._matcher is not None:
            self._matcher.close()
            self._matcher = None

    async def _start(self) -> None:
        grammar = self._settings.grammar
        if self._ahead:
            self._leave_matcher()
        if grammar is not None and self._matcher is None:
            await self._text.settle()
            self._matcher = await Matcher.start(grammar, self._text.model, self._text.cache)
            if self.tokens:
                self._matcher.advance(*self.tokens)
        elif self._matcher is not None:
            await self._text.settle()
            await self._matcher.ready()

    def _left(self) -> int:
        text = self._text
        return min(self._settings.max_tokens - len(self.tokens), text.model.context_length - len(text.tokens))

    def _accept(self, tokens: list[int]) -> None:
        """Adds tokens to the text, as far as nothing ends it before. Only the last can be a stop token."""
        if not self._settings.stops.textual:
            self._add(tokens)
            return
        for token in tokens:
            self._add([token])
            self._decode()
            if self.done:
                return

    def _add(self, tokens: list[int]) -> None:
        if tokens[-1] in self._settings.stops.tokens:
            self.stop_reason = self._at_stop_token
            tokens = tokens[:-1]
        self._text.tokens += tokens
        self.tokens += tokens
        self._undecoded += tokens
        if self.stop_reason is None and self._left() <= 0:
            full = len(self.tokens) < self._settings.max_tokens
            self.stop_reason = "context_length" if full else "max_tokens"

    def _decode(self) -> None:
        """Turns new tokens into text, and looks whether that ends it."""
        if self._undecoded:
            piece = self._stream.push(self._text.model.bytes_of(self._undecoded))
            self._undecoded.clear()
            self._keep_piece(piece)
            if self._stream.stopped is not None:
                self.stop_reason = "stop_string"
            elif any(condition("".join(self._pieces)) for condition in self._settings.stops.conditions):
                self.stop_reason = "stop_condition"
        if self.done:
            self._keep_piece(self._stream.finish())

    def _keep_piece(self, piece: str) -> None:
        if piece:
            self._pieces.append(piece)
