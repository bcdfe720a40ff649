"""How long does it take from a launch request to a program's first message, and how many a second?

Through a real server over one WebSocket, from source text, each program in a fresh sandbox. Then the same in
one process without a server, for the share of HTTP and the client.
"""

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable

from harness import Options, Report, finish, options, summary
from stack import local_stack, run, server

from pie.client import AsyncClient
from pie.core.events import Message
from pie.core.programs import Launch, Source
from pie.launch import Stack

PROGRAM = """
from inferlet import send

def main(number: int):
    send(f"hello {number}")
    return str(number * number)
"""
IN_FLIGHT = 256

Once = Callable[[int], Awaitable[float]]
"""Launches program number n, checks its result, and gives the seconds until its first message."""


def through(client: AsyncClient, path: str) -> Once:
    async def once(number: int) -> float:
        began = time.perf_counter()
        running = await client.launch(path, "--number", str(number))
        first = await anext(aiter(running))
        waited = time.perf_counter() - began
        check(number, str(first), str(await running.result()))
        return waited

    return once


def inside(stack: Stack) -> Once:
    async def once(number: int) -> float:
        began = time.perf_counter()
        instance = stack.application.launch(Launch(Source(PROGRAM), ("--number", str(number))))
        first = ""
        async for event in instance.events():
            if isinstance(event, Message):
                first = event.text
                break
        waited = time.perf_counter() - began
        check(number, first, getattr(await instance.wait(), "result", "failed"))
        return waited

    return once


def check(number: int, first: str, result: str) -> None:
    if (first, result) != (f"hello {number}", str(number * number)):
        raise RuntimeError(f"launch {number} answered {first!r}, {result!r}")


async def one_at_a_time(once: Once, count: int) -> list[float]:
    return [await once(number) for number in range(count)]


async def crowd(once: Once, count: int) -> tuple[float, list[float]]:
    """Launches a second with `IN_FLIGHT` under way, and the latencies."""
    numbers = iter(range(count))

    async def worker() -> list[float]:
        return [await once(number) for number in numbers]

    began = time.perf_counter()
    waited = await asyncio.gather(*(worker() for _ in range(IN_FLIGHT)))
    rate = count / (time.perf_counter() - began)
    return rate, [second for part in waited for second in part]


async def measure(report: Report, way: str, once: Once) -> None:
    quick = report.options.quick
    await one_at_a_time(once, 20)
    for _ in range(1 if quick else 3):
        alone = await one_at_a_time(once, 200)
        rate, together = await crowd(once, 1024 if quick else 4096)
        report.runs.append(
            {
                "way": way,
                "alone_ms": summary([1e3 * s for s in alone]),
                "in_flight_ms": summary([1e3 * s for s in together]),
                "launches_per_second": rate,
            }
        )


def median_of(report: Report, way: str, pick: Callable[[dict[str, float]], float]) -> float:
    values = sorted(pick(r) for r in report.runs if r["way"] == way)
    return values[len(values) // 2]


async def served(report: Report, path: str) -> None:
    with server() as url:
        async with AsyncClient(url) as client:
            await measure(report, "server", through(client, path))


async def local(report: Report) -> None:
    async with local_stack() as stack:
        await measure(report, "in process", inside(stack))


def main(given: Options, path: str) -> int:
    report = Report("launch", given, {"in_flight": IN_FLIGHT})
    run(served(report, path))
    run(local(report))
    for way in ("server", "in process"):
        alone = median_of(report, way, lambda r: r["alone_ms"]["median"])  # type: ignore[index]
        rate = median_of(report, way, lambda r: r["launches_per_second"])
        report.require(f"{way}: request to first message, median, ms", alone, at_most=5.0)
        report.require(f"{way}: launches per second, {IN_FLIGHT} in flight", rate, at_least=250.0)
    return finish(report)


if __name__ == "__main__":
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "hello.py"
        source.write_text(PROGRAM)
        sys.exit(main(options(__doc__), str(source)))
