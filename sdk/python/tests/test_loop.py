"""asyncio on host futures and timers, in virtual time."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from inferlet import raw, receive
from inferlet.errors import Cancelled
from inferlet.loop import Deadlock, EventLoop
from inferlet.runner import run_in_loop
from inferlet.testing import FakeHost

pytestmark = pytest.mark.usefixtures("host")


def test_sleep_passes_virtual_time(host: FakeHost) -> None:
    run_in_loop(asyncio.sleep(90))
    assert host.runtime.now() == 90_000


def test_a_single_task_waits_in_the_host_itself(host: FakeHost) -> None:
    async def main() -> None:
        for _ in range(3):
            await raw.sleep(5)

    run_in_loop(main())
    assert host.calls == ["wait", "wait", "wait"]


def test_two_tasks_wait_together(host: FakeHost) -> None:
    async def main() -> None:
        await asyncio.gather(nap(5), nap(5))

    run_in_loop(main())
    assert host.runtime.now() == 5
    assert host.calls.count("wait_any") == 1


async def nap(ms: int) -> int:
    await raw.sleep(ms)
    return ms


def test_gather_gives_results_in_order_whoever_is_ready_first(host: FakeHost) -> None:
    async def main() -> list[int]:
        return list(await asyncio.gather(nap(30), nap(10), nap(20)))

    assert run_in_loop(main()) == [30, 10, 20]
    assert host.runtime.now() == 30


def test_wait_for_gives_up_and_cancels_what_it_waited_for(host: FakeHost) -> None:
    async def main() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(nap(10_000), 0.05)
        await asyncio.gather(nap(1), nap(1))

    run_in_loop(main())
    assert host.runtime.now() == 51
    assert "drop" in host.calls


def test_timeout_does_not_disturb_what_is_fast_enough() -> None:
    async def main() -> int:
        async with asyncio.timeout(1):
            return await nap(5)

    assert run_in_loop(main()) == 5


def test_under_a_timeout_a_single_task_waits_in_the_host_too(host: FakeHost) -> None:
    async def main() -> None:
        async with asyncio.timeout(1):
            await nap(5)
            await nap(5)

    run_in_loop(main())
    assert host.calls == ["wait_any", "wait"] * 2


def test_after_a_timeout_block_a_single_task_waits_in_the_host_again(host: FakeHost) -> None:
    async def main() -> None:
        async with asyncio.timeout(1):
            await nap(1)
        host.calls.clear()
        await nap(1)

    run_in_loop(main())
    assert host.calls == ["wait"]


def test_queues_carry_values_between_tasks() -> None:
    async def main() -> list[int]:
        queue: asyncio.Queue[int] = asyncio.Queue(1)

        async def produce() -> None:
            for number in range(5):
                await nap(1)
                await queue.put(number)

        async with asyncio.TaskGroup() as group:
            group.create_task(produce())
            return [await queue.get() for _ in range(5)]

    assert run_in_loop(main()) == [0, 1, 2, 3, 4]


def test_a_task_that_spins_does_not_starve_one_that_waits() -> None:
    async def main() -> int:
        waiter = asyncio.create_task(nap(0))
        spins = 0
        while not waiter.done():
            await asyncio.sleep(0)
            spins += 1
        return spins

    assert run_in_loop(main()) < 100


def test_a_cancelled_task_sees_the_cancellation_where_it_waits(host: FakeHost) -> None:
    async def main() -> str:
        task = asyncio.create_task(nap(10_000))
        await asyncio.sleep(0.001)
        task.cancel()
        try:
            await task
        except asyncio.CancelledError:
            return "cancelled"
        return "finished"

    assert run_in_loop(main()) == "cancelled"
    assert host.runtime.now() < 10_000


def test_several_tasks_may_wait_for_one_future() -> None:
    async def main() -> int:
        future = raw.sleep(3)

        async def wait() -> int:
            await future
            return 1

        return sum(await asyncio.gather(wait(), wait(), wait()))

    assert run_in_loop(main()) == 3


def test_messages_arrive_in_order_and_the_end_is_an_error() -> None:
    async def main() -> list[str]:
        return [await receive(), await receive()]

    async def too_many() -> None:
        await receive()

    with FakeHost(messages=["one", "two"]):
        assert run_in_loop(main()) == ["one", "two"]
        with pytest.raises(Cancelled, match="left"):
            run_in_loop(too_many())


def test_a_deadlock_is_reported_with_the_tasks_and_their_lines() -> None:
    async def main() -> None:
        await asyncio.Queue[int]().get()

    with pytest.raises(Deadlock, match=r"main at line \d+"):
        run_in_loop(main())


def test_tasks_left_behind_are_cancelled_and_named_in_the_log(
    capsys: pytest.CaptureFixture[str]
) -> None:
    ended: list[str] = []

    async def linger() -> None:
        try:
            await nap(10_000)
        finally:
            ended.append("cleaned up")

    tasks: list[asyncio.Task[None]] = []

    async def main() -> None:
        tasks.append(asyncio.create_task(linger(), name="lingerer"))
        await asyncio.sleep(0)

    run_in_loop(main())
    assert ended == ["cleaned up"]
    assert "nobody awaited them: lingerer" in capsys.readouterr().err


def test_an_exception_in_a_task_that_nobody_awaits_is_logged(
    capsys: pytest.CaptureFixture[str]
) -> None:
    async def fail() -> None:
        raise ValueError("nobody sees me")

    async def main() -> None:
        task = asyncio.create_task(fail())
        await asyncio.sleep(0.001)
        del task

    run_in_loop(main())
    assert "nobody sees me" in capsys.readouterr().err


def test_an_async_generator_left_half_way_is_closed() -> None:
    ended: list[str] = []

    async def numbers() -> AsyncIterator[int]:
        try:
            while True:
                yield 1
        finally:
            ended.append("closed")

    kept = numbers()

    async def main() -> None:
        async for _ in kept:
            break

    run_in_loop(main())
    assert ended == ["closed"]


def test_cancelled_timers_do_not_pile_up_behind_a_live_one() -> None:
    async def main() -> int:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, EventLoop)
        loop.call_later(1, int)
        for _ in range(1000):
            loop.call_later(60, int).cancel()
            await asyncio.sleep(0)
        return len(loop._scheduled)

    assert run_in_loop(main()) < 200


def test_an_executor_is_refused_with_a_reason() -> None:
    async def main() -> None:
        await asyncio.to_thread(print, "x")

    with pytest.raises(RuntimeError, match="no threads"):
        run_in_loop(main())


def test_dropped_futures_are_told_to_the_host_in_groups(host: FakeHost) -> None:
    async def main() -> None:
        for _ in range(200):
            await raw.sleep(1)

    run_in_loop(main())
    assert host.calls.count("drop") == 3
    assert len(host.futures_held) < 64


def test_outside_asyncio_wait_blocks_the_program(host: FakeHost) -> None:
    raw.sleep(7).wait()
    assert host.runtime.now() == 7


def test_poll_and_wait_any_give_the_futures_that_are_ready() -> None:
    soon, late = raw.sleep(1), raw.sleep(100)
    assert raw.poll([soon, late]) == []
    assert raw.wait_any([soon, late]) == [soon]
    assert raw.wait_any([late], timeout_ms=5) == []
    assert soon.ready() and not late.ready()
