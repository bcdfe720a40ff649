"""Greedy decoding without waking the program for each token.

The best token of one step is the input of the next, and nothing in between is the program's own: so the next
step is queued as soon as the distribution is there, and the guest sleeps until the run is over.
"""

from collections.abc import Collection, Sequence

from pie.application.futures import Future
from pie.control import Session
from pie.core.commands import Dist, EmbedText, Forward, NextDist
from pie.core.errors import InvalidArgument, PieError
from pie.core.ids import QueueId, Token, VirtualEmb, VirtualPage


class GreedyRun:
    """Decodes up to `count` tokens, or until one of `stop`; `future` gets the list.

    It is the `Completion` of each of its steps.
    """

    __slots__ = (
        "_count", "_emb", "_oemb", "_page_size", "_pages", "_position", "_queue", "_session", "_stop",
        "_stopped", "_tokens", "future",
    )  # fmt: skip

    def __init__(
        self,
        session: Session,
        queue: QueueId,
        pages: Sequence[VirtualPage],
        page_size: int,
        emb: VirtualEmb,
        oemb: VirtualEmb,
        count: int,
        stop: Collection[int],
    ) -> None:
        self.future = Future(self._dropped)
        self._session = session
        self._queue = queue
        self._pages = pages
        self._page_size = page_size
        self._emb = (emb,)
        self._oemb = (oemb,)
        self._count = count
        self._stop = frozenset(stop)
        self._stopped = False
        self._position = 0
        self._tokens: list[int] = []

    def start(self, token: Token, position: int) -> None:
        """Raises what is wrong with the arguments."""
        last = position + self._count - 1
        if self._count < 1 or last >= len(self._pages) * self._page_size:
            raise InvalidArgument(
                f"decode_greedy: {self._count} tokens from position {position} on do not fit into "
                f"{len(self._pages)} pages of {self._page_size} tokens"
            )
        self._position = position
        self._step(token)

    def resolve(self, value: object) -> None:
        if self._stopped or not isinstance(value, Dist):
            return
        best = value.tokens[0]
        self._tokens.append(best)
        if len(self._tokens) == self._count or best in self._stop:
            self.future.resolve(self._tokens)
            return
        self._position += 1
        try:
            self._step(Token(best))
        except PieError as error:
            self.future.fail(error)

    def fail(self, error: PieError) -> None:
        self.future.fail(error)

    def _step(self, token: Token) -> None:
        submit, queue, position, size = self._session.submit, self._queue, self._position, self._page_size
        page, offset = divmod(position, size)
        seen = self._pages[: page + 1 if offset else page]
        submit(queue, EmbedText((token,), (position,), self._emb))
        submit(queue, Forward(seen, self._emb, (self._pages[page],), offset, self._oemb, (), None))
        submit(queue, NextDist(self._oemb[0], 1, ()), self)

    def _dropped(self, future: Future) -> None:
        """Nobody waits any more: the step under way is the last."""
        del future
        self._stopped = True
