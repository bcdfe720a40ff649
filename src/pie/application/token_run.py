"""The tokens of a decoding that runs ahead of its program."""

from collections.abc import Callable

from pie.application.futures import Future


class TokenRun(Future):
    """Ready each time `chunk` tokens are there that were not taken, and at the end.

    It is the `core.commands.Listener` of its run. `stop` ends the run; called when nobody wants it any more.
    """

    __slots__ = ("_chunk", "_stop", "_tokens", "over")

    def __init__(self, chunk: int, stop: "Callable[[TokenRun], None]") -> None:
        super().__init__(self._dropped)
        self.over = False
        self._chunk = chunk
        self._stop = stop
        self._tokens: list[int] = []

    def add(self, token: int) -> None:
        self._tokens.append(token)
        if len(self._tokens) >= self._chunk:
            self._settle()

    def resolve(self, value: object) -> None:
        self.over = True
        super().resolve(value)

    def fail(self, error: Exception) -> None:
        self.over = True
        super().fail(error)

    def take(self) -> list[int]:
        """The tokens that came since; raises the error that the run failed with."""
        self.check()
        taken, self._tokens = self._tokens, []
        self.done = self.over
        return taken

    def _dropped(self, future: Future) -> None:
        del future
        if not self.over:
            self._stop(self)
