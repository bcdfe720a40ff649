"""Results that are still on their way. `await` one inside a program, or `wait()` where nothing is async."""

from asyncio.events import _get_running_loop
from collections.abc import Callable, Generator, Iterable
from typing import Any, Generic, TypeVar

from inferlet.host import bound, translate
from inferlet.loop import EventLoop

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

DROPPED_AT_ONCE = 64
"""Abandoned futures are told to the host in groups: a call per token would cost more than it frees."""


class Future(Generic[T_co]):
    """A result that the host is preparing; `id` is its number in the raw calls.

    The host forgets it (and cancels the work, where it can) some time after the last reference is gone.
    """

    __slots__ = ("_done", "_dropped", "id")

    def __init__(self, id: int) -> None:
        self.id = id
        self._done = False
        self._dropped = bound.dropped
        if len(bound.dropped) >= DROPPED_AT_ONCE:
            bound.forget_dropped()

    def __del__(self) -> None:
        # Only noted here: a collection may come in the middle of another host call.
        dropped = self._dropped
        dropped.append(self.id)
        if not self._done:
            dropped.urgent = True

    def __await__(self) -> Generator[Any, None, T_co]:
        if not self._done:
            loop = _get_running_loop()
            if isinstance(loop, EventLoop) and not loop.alone(self.id):
                yield from loop.until_ready(self.id)
            self._settle()
        return self._take()

    def wait(self) -> T_co:
        """Stops the whole program until the result is there; inside `async def` use `await`."""
        if not self._done:
            self._settle()
        return self._take()

    def ready(self) -> bool:
        """Whether waiting would return (or raise) at once."""
        return self._done or bool(bound.host.futures.poll([self.id]))

    def _settle(self) -> None:
        host = bound.host
        try:
            host.futures.wait(self.id)
        except host.error as failure:
            raise translate(failure) from None
        self._done = True

    def _take(self) -> T_co:
        raise NotImplementedError


class DoneFuture(Future[None]):
    """Ready when something has happened; has no value."""

    __slots__ = ()

    def _take(self) -> None:
        return None


class Reading(Future[T]):
    """A value that a call of its own hands out once; it is remembered here.

    `waits` says that this call waits, reads and drops, all in one.
    """

    __slots__ = ("_read", "_value", "_waits")

    def __init__(self, id: int, read: Callable[[int], T], waits: bool = False) -> None:
        super().__init__(id)
        self._read = read
        self._waits = waits

    def __del__(self) -> None:
        if not (self._waits and self._done):
            super().__del__()

    def _settle(self) -> None:
        host = bound.host
        try:
            if not self._waits:
                host.futures.wait(self.id)
            self._value = self._read(self.id)
        except host.error as failure:
            raise translate(failure) from None
        self._done = True

    def _take(self) -> T:
        return self._value


def poll(futures: Iterable[Future[Any]]) -> list[Future[Any]]:
    """Those that are ready (done or failed); never waits."""
    by_id = {future.id: future for future in futures}
    return [by_id[id] for id in bound.host.futures.poll(list(by_id))]


def wait_any(futures: Iterable[Future[Any]], timeout_ms: int | None = None) -> list[Future[Any]]:
    """Stops the whole program until one is ready; an empty list after `timeout_ms` milliseconds."""
    by_id = {future.id: future for future in futures}
    return [by_id[id] for id in bound.host.futures.wait_any(list(by_id), timeout_ms)]
