"""Results on their way to a guest, by the numbers it knows them under."""

from collections.abc import Callable, Iterable
from typing import Any

from pie.core.errors import InternalError, LimitExceeded, UnknownId


class Future:
    """One result; implements `core.commands.Completion`."""

    __slots__ = ("done", "error", "on_drop", "on_over", "value", "wake")

    def __init__(self, on_drop: "Callable[[Future], None] | None" = None) -> None:
        self.done = False
        self.value: Any = None
        self.error: Exception | None = None
        self.wake: Callable[[], None] | None = None
        """Set while its guest waits for it."""
        self.on_drop = on_drop
        """Takes back what nobody has read, or stops what is still running."""
        self.on_over: Callable[[], None] | None = None
        """Called when it is done, or dropped before."""

    def resolve(self, value: object) -> None:
        self.value = value
        self._settle()

    def fail(self, error: Exception) -> None:
        self.error = error
        self._settle()

    def check(self) -> None:
        """Raises the error that it failed with."""
        if self.error is not None:
            raise self.error.with_traceback(None)

    def result(self) -> Any:
        """The value; raises its error, and `InternalError` where there is neither yet."""
        self.check()
        if not self.done:
            raise InternalError("a result was read before it was there")
        return self.value

    def _settle(self) -> None:
        self.done = True
        if self.on_over is not None:
            self.on_over()
        wake = self.wake
        if wake is not None:
            self.wake = None
            wake()


class Futures:
    """All futures of one guest. `most` bounds those that it has not dropped."""

    __slots__ = ("_futures", "_most", "_next")

    def __init__(self, most: int) -> None:
        self._futures: dict[int, Future] = {}
        self._most = most
        self._next = 1

    def __len__(self) -> int:
        return len(self._futures)

    @property
    def left(self) -> int:
        """How many more there may be."""
        return max(0, self._most - len(self._futures))

    def lend(self, count: int) -> None:
        """So many fewer are allowed; a negative number takes them back."""
        self._most -= count

    def check_room(self) -> None:
        """Raises `LimitExceeded` when one more would be too many."""
        if len(self._futures) >= self._most:
            raise LimitExceeded(
                f"{len(self._futures)} futures are not dropped yet, and no more are allowed: wait for some "
                "and drop them"
            )

    def add(self, future: Future) -> int:
        """Its number, counted from 1."""
        number = self._next
        self._next = number + 1
        self._futures[number] = future
        return number

    def get(self, number: int) -> Future:
        try:
            return self._futures[number]
        except KeyError:
            raise self._unknown(number) from None

    def find(self, numbers: Iterable[int]) -> list[Future]:
        return [self.get(number) for number in numbers]

    def drop(self, numbers: Iterable[int]) -> None:
        """Forgets futures; numbers that are gone already do no harm."""
        for number in numbers:
            future = self._futures.pop(number, None)
            if future is None:
                continue
            if future.on_over is not None:
                future.on_over()
            if future.on_drop is not None:
                future.on_drop(future)

    def close(self) -> None:
        """The guest has ended: nothing wakes it any more, and what still runs is stopped."""
        for future in self._futures.values():
            future.wake = None
        self.drop(list(self._futures))

    def _unknown(self, number: int) -> UnknownId:
        state = "has been dropped" if 0 < number < self._next else "was never given out"
        return UnknownId(f"future {number} {state}")
