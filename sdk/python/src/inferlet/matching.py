"""A place in a grammar that goes along with one text."""

from collections.abc import Callable, Sequence
from typing import Concatenate, ParamSpec, Protocol

from inferlet import raw
from inferlet.cache import Cache
from inferlet.errors import InferletError
from inferlet.model import Model

P = ParamSpec("P")
Early = Callable[[int, int], None]
"""A command that waits until its matcher is there; it takes the queue and the matcher's id."""


class CompiledGrammar(Protocol):
    """What a generation needs of a `Grammar`."""

    async def number(self, model: Model) -> int:
        """The grammar's number, compiled for a model; at once if that has been done before."""
        ...


class Matcher:
    """A matcher on the queue of a text's cache. `sample` with it moves it on by itself."""

    def __init__(self, id: int, cache: Cache, model: Model, early: Sequence[Early] | None = None) -> None:
        """early: it is there when what its cache was forked from is; until then these wait, and what is
        asked of it behind them."""
        self.id = id
        self._cache = cache
        self._early = None if early is None else list(early)
        self._ids = model.pools.matchers
        self._model = model

    @classmethod
    async def start(cls, grammar: CompiledGrammar, model: Model, cache: Cache) -> "Matcher":
        """A new one, at the grammar's beginning."""
        number = await grammar.number(model)
        [id] = model.pools.matchers.take(1)
        raw.new_matcher(cache.queue, number, [id])
        return cls(id, cache, model)

    def advance(self, *tokens: int) -> None:
        """Moves on by tokens that the driver did not sample with it. If the grammar does not allow one, the
        queue fails, and the matcher stays where it is."""
        self._do(raw.advance_matcher, tokens)

    def rollback(self, count: int) -> None:
        """Takes the last `count` tokens back, sampled ones too."""
        self._do(raw.rollback_matcher, count)

    async def state(self) -> raw.MatcherState:
        """Where it stands: `accepting` (the text may end), `stopped` (it must), and `forced`: the tokens that
        follow in any case, and need no model."""
        await self.ready()
        return await raw.read_matcher(self._cache.queue, self.id)

    async def accepting(self) -> bool:
        """Whether the text so far is complete."""
        return (await self.state()).accepting

    async def forced(self) -> list[int]:
        """The tokens that must follow."""
        return (await self.state()).forced

    async def mask(self) -> bytes:
        """The tokens that may come next as bits: token i is bit i % 8 of byte i // 8."""
        await self.ready()
        return await raw.matcher_mask(self._cache.queue, self.id)

    async def look(self) -> tuple[raw.MatcherState, bytes]:
        """`state` and `mask`, in one round trip."""
        await self.ready()
        queue = self._cache.queue
        state, mask = raw.read_matcher(queue, self.id), raw.matcher_mask(queue, self.id)
        return await state, await mask

    async def allowed(self) -> list[int]:
        """The tokens that may come next."""
        found = enumerate(await self.mask())
        return [8 * index + bit for index, byte in found if byte for bit in range(8) if byte >> bit & 1]

    def fork(self, cache: Cache | None = None) -> "Matcher":
        """One at the same place, for another text if a cache is given; it exists when what this queue holds
        has been executed."""
        cache = cache or self._cache
        self._catch_up()
        [id] = self._ids.take(1)
        through = self._through
        raw.fork_matcher(through, [self.id], [id])
        if cache is self._cache:
            return Matcher(id, cache, self._model, self._early)
        cache.come_after(through)
        return Matcher(id, cache, self._model, self._early or [])

    async def ready(self) -> None:
        """Waits until it is there; from then on any command of its queue may name it."""
        if self._early is not None:
            await self._cache.settle()
            self._catch_up()

    def close(self) -> None:
        """Gives it back; after a failure of the queue that waits for the program's end."""
        try:
            self._catch_up()
            raw.free_matcher(self._through, [self.id])
        except InferletError:
            return
        self._ids.give([self.id])

    @property
    def _through(self) -> int:
        """The queue that knows it."""
        return self._cache.queue if self._early is None else self._cache.through

    def _do(
        self, command: Callable[Concatenate[int, int, P], None], *args: P.args, **kwargs: P.kwargs
    ) -> None:
        self._catch_up()
        if self._early is None:
            command(self._cache.queue, self.id, *args, **kwargs)
        else:
            self._early.append(lambda queue, id: command(queue, id, *args, **kwargs))

    def _catch_up(self) -> None:
        """Does what has waited, if what it was forked from is known to be there."""
        early = self._early
        if early is not None and self._cache.origin is None:
            self._early = None
            for command in early:
                command(self._cache.queue, self.id)
