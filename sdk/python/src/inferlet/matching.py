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

    def advance(self, token: int) -> None:
        """Moves on by a token that the driver did not sample with it."""
        raw.advance_matcher(self._cache.queue, self.id, [token])

    def fork(self, cache: Cache) -> "Matcher":
        """One at the same place for another text; it exists when what this queue holds has been executed."""
        [id] = self._ids.take(1)
        raw.fork_matcher(self._cache.queue, [self.id], [id])
        if cache.origin is None:
            cache.origin = raw.synchronize(self._cache.queue)
        return Matcher(id, cache, self._model)

    def close(self) -> None:
        """Gives it back; after a failure of the queue that waits for the program's end."""
        try:
            raw.free_matcher(self._cache.queue, [self.id])
        except InferletError:
            return
        self._ids.give([self.id])
