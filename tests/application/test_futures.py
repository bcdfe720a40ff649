import pytest

from pie.application.futures import Future, Futures
from pie.core.errors import InternalError, LimitExceeded, QueueFailed, UnknownId


def test_a_future_wakes_whoever_waits_exactly_once() -> None:
    woken: list[int] = []
    future = Future()
    future.wake = lambda: woken.append(1)
    future.resolve("text")
    future.resolve("again")
    assert woken == [1]


def test_a_failed_future_raises_its_error_each_time_it_is_read() -> None:
    future = Future()
    future.fail(QueueFailed("no"))
    for _ in range(2):
        with pytest.raises(QueueFailed, match="no"):
            future.result()


def test_a_future_that_is_not_ready_has_no_result() -> None:
    with pytest.raises(InternalError):
        Future().result()


def test_an_unknown_number_is_told_apart_from_a_dropped_one() -> None:
    futures = Futures(8)
    number = futures.add(Future())
    futures.drop([number])
    with pytest.raises(UnknownId, match=f"future {number} has been dropped"):
        futures.get(number)
    with pytest.raises(UnknownId, match="future 77 was never given out"):
        futures.get(77)


def test_futures_that_nobody_drops_are_bounded() -> None:
    futures = Futures(2)
    for _ in range(2):
        futures.check_room()
        futures.add(Future())
    with pytest.raises(LimitExceeded, match="drop them"):
        futures.check_room()


def test_closing_takes_back_what_still_runs_and_wakes_nobody() -> None:
    taken_back: list[Future] = []
    woken: list[int] = []
    future = Future(on_drop=taken_back.append)
    future.wake = lambda: woken.append(1)
    futures = Futures(8)
    futures.add(future)
    futures.close()
    future.resolve(None)
    assert (taken_back, woken, len(futures)) == ([future], [], 0)
