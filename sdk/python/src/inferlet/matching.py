"""A place in a grammar that goes along with one text."""

from typing import Protocol

from inferlet import raw
from inferlet.cache import Cache
from inferlet.errors import InferletError
from inferlet.model import Model


class CompiledGrammar(Protocol):
    """What a generation needs of a `Grammar`."""

    async def number(self, model: Model) -> int:
        """The grammar's number, compiled for a model; at once if that has been done before."""
        ...


class Matcher:
    """A matcher on the queue of a text's cache. `sample` with it moves it on by itself."""

    def __init__(self, id: int, cache: Cache, model: Model) -> None:
        self.id = id
        self._cache = cache
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
        raw.advance_matcher(self._cache.queue, self.id, tokens)

    def rollback(self, count: int) -> None:
        """Takes the last `count` tokens back, sampled ones too."""
        raw.rollback_matcher(self._cache.queue, self.id, count)

    async def state(self) -> raw.MatcherState:
        """Where it stands: `accepting` (the text may end), `stopped` (it must), and `forced`: the tokens that
        follow in any case, and need no model."""
        return await raw.read_matcher(self._cache.queue, self.id)

    async def accepting(self) -> bool:
        """Whether the text so far is complete."""
        return (await self.state()).accepting

    async def forced(self) -> list[int]:
        """The tokens that must follow."""
        return (await self.state()).forced

    async def mask(self) -> bytes:
        """The tokens that may come next as bits: token i is bit i % 8 of byte i // 8."""
        return await raw.matcher_mask(self._cache.queue, self.id)

    async def allowed(self) -> list[int]:
        """The tokens that may come next."""
        found = enumerate(await self.mask())
        return [8 * index + bit for index, byte in found if byte for bit in range(8) if byte >> bit & 1]

    def fork(self, cache: Cache | None = None) -> "Matcher":
        """One at the same place, for another text if a cache is given; it exists when what this queue holds
        has been executed."""
        cache = cache or self._cache
        [id] = self._ids.take(1)
        raw.fork_matcher(self._cache.queue, [self.id], [id])
        if cache is not self._cache and cache.origin is None:
            cache.origin = raw.synchronize(self._cache.queue)
        return Matcher(id, cache, self._model)

    def close(self) -> None:
        """Gives it back; after a failure of the queue that waits for the program's end."""
        try:
            raw.free_matcher(self._cache.queue, [self.id])
        except InferletError:
            return
        self._ids.give([self.id])
