"""Pie as a user meets it: `pie serve` and its client. `run_pie.py PRECISION`; its ways: `pie_program.py`."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from lines import Arrivals, Lines, Prompts, serve
from stack import server

from pie import __version__
from pie.client import AsyncClient

THREADS = 2
PROGRAM = Path(__file__).with_name("pie_program.py")


class Pie:
    def __init__(self, url: str) -> None:
        self.version = f"pie {__version__}"
        self._url = url

    def wave(self, prompts: Prompts, tokens: int, way: str) -> list[list[float]]:
        return asyncio.run(self._wave(prompts, tokens, way))

    async def _wave(self, prompts: Prompts, tokens: int, way: str) -> list[list[float]]:
        """Connected before the clock starts; a launch from source text is part of the first token."""
        async with AsyncClient(self._url) as client:
            await client.run(PROGRAM, *words(way, prompts[0], 0))
            arrivals = Arrivals(len(prompts))
            asked = (words(way, prompt, tokens) for prompt in prompts)
            await asyncio.gather(*(stream(client, words, n, arrivals) for n, words in enumerate(asked)))
        return arrivals.times

    def score(self, windows: Prompts, start: int) -> float | None:
        """By `Context.score`, through the server like everything else."""
        losses: list[float] = []
        for window in windows:
            losses += json.loads(asyncio.run(self._score(window, start)))
        return sum(losses) / len(losses)

    async def _score(self, window: Any, start: int) -> Any:
        async with AsyncClient(self._url) as client:
            return await client.run(PROGRAM, *words("score", window, start + 1))


def words(way: str, prompt: Any, number: int) -> tuple[str, ...]:
    return ("--way", way, "--prompt", json.dumps(prompt), "--number", str(number))


async def stream(client: AsyncClient, words: tuple[str, ...], number: int, arrivals: Arrivals) -> None:
    async for message in await client.launch(PROGRAM, *words):
        arrivals.add(number, str(message).count(" "))


def main(precision: str) -> None:
    lines = Lines()
    with server("--precision", precision, "--threads", str(THREADS)) as url:
        serve(lines, Pie(url))


if __name__ == "__main__":
    main(*sys.argv[1:])
