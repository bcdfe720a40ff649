"""`pie:inferlet/futures`: waiting. The only calls, with `send` and `log`, that suspend a program."""

from collections.abc import Sequence
from typing import TypeVar

from pie.application.futures import Future
from pie.application.guest import Guest
from pie.application.hostcall import suspends
from pie.core.errors import InvalidArgument

MOST_TIMEOUT_MS = 1 << 40

T = TypeVar("T", str, bytes)


def poll(guest: Guest, futures: Sequence[int]) -> list[int]:
    return _ready(futures, guest.futures.find(futures))


@suspends
def wait_any(guest: Guest, futures: Sequence[int], timeout_ms: int | None) -> object:
    waited = guest.futures.find(futures)
    ready = _ready(futures, waited)
    if ready or timeout_ms == 0:
        return ready
    seconds = min(timeout_ms or 0, MOST_TIMEOUT_MS) / 1000
    timer = None if timeout_ms is None else guest.call_later(seconds, guest.wake)

    def finish() -> list[int]:
        if timer is not None:
            guest.cancel_timer(timer)
        for future in waited:
            future.wake = None
        return _ready(futures, waited)

    for future in waited:
        future.wake = guest.wake
    note_wait(guest, waited)
    return guest.suspend(finish)


@suspends
def wait(guest: Guest, future: int) -> object:
    waited = guest.futures.get(future)
    note_wait(guest, (waited,))
    return guest.wait_for(waited)


def take_text(guest: Guest, future: int) -> str:
    return _take(guest, future, str, "text")


def take_blob(guest: Guest, future: int) -> bytes:
    return _take(guest, future, bytes, "bytes")


def drop(guest: Guest, futures: Sequence[int]) -> None:
    guest.futures.drop(futures)


def note_wait(guest: Guest, futures: Sequence[Future]) -> None:
    """Says in the timeline what it is about to wait for; what it waits for outside has spans of its own."""
    trace = guest.trace
    if trace is None:
        return
    open_ones = [future for future in futures if not future.done]
    outside = sum(future.on_over is not None for future in open_ones)
    if not open_ones:
        trace.waiting = "" if futures else "sleep"
    elif outside < len(open_ones):
        trace.waiting = "model or tools" if outside else "model"
    else:
        trace.waiting = "tools"


def _ready(numbers: Sequence[int], futures: Sequence[Future]) -> list[int]:
    return [number for number, future in zip(numbers, futures, strict=True) if future.done]


def _take(guest: Guest, number: int, kind: type[T], what: str) -> T:
    """The message of a finished `receive`; it can be taken once."""
    future = guest.futures.get(number)
    if not future.done:
        raise InvalidArgument(f"future {number} is not ready: wait for it first")
    value = future.result()
    if not isinstance(value, kind):
        raise InvalidArgument(f"future {number} has no {what} (any more)")
    future.value = None
    return value


FUNCTIONS = (poll, wait_any, wait, take_text, take_blob, drop)
