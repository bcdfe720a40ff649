"""Checking grammars for one model in a process of its own, one after the other, each in bounded time."""

import asyncio
import sys
from collections.abc import Callable

import msgspec

from pie.core.errors import InvalidArgument, LimitExceeded, PieError, Unavailable
from pie.core.grammar import GrammarKind
from pie.models.grammar_worker import LENGTH, Answer, Beginning, Request, packed

WORKER = "pie.models.grammar_worker"
START_SECONDS = 60.0
ERRORS: dict[str, type[PieError]] = {"LimitExceeded": LimitExceeded, "Unavailable": Unavailable}
Process = asyncio.subprocess.Process


class GrammarChecker:
    """The process starts with the first grammar. One that takes too long or too much memory ends it, and
    with it nothing else: the next grammar gets a new one."""

    def __init__(self, describe: Callable[[], Beginning], seconds: float) -> None:
        """`describe` tells what the model's tokens are; `seconds`: one grammar's time by the clock."""
        self._describe = describe
        self._seconds = seconds
        self._turn = asyncio.Lock()
        self._process: Process | None = None
        self._checks: set[asyncio.Task[None]] = set()

    async def check(self, kind: GrammarKind, text: str) -> None:
        """Raises `InvalidArgument` or `LimitExceeded`, which say why not. Goes on to its end when whoever
        waits is cancelled: a new process would cost more than the rest of most checks."""
        task = asyncio.create_task(self._check(kind, text))
        self._checks.add(task)
        task.add_done_callback(self._checked)
        await asyncio.shield(task)

    def _checked(self, task: asyncio.Task[None]) -> None:
        self._checks.discard(task)
        if not task.cancelled():
            task.exception()  # whoever wanted to know may have gone

    async def _check(self, kind: GrammarKind, text: str) -> None:
        async with self._turn:
            process = self._process or await self._start()
            try:
                await self._ask(process, packed(Request(kind, text)), self._seconds)
            except TimeoutError:
                error = f"the grammar is too involved: checking it takes longer than {self._seconds:g} s"
                raise LimitExceeded(error) from None
            except (OSError, EOFError):
                error = "the grammar is too large: checking it ended the process that did"
                raise LimitExceeded(error) from None

    async def close(self) -> None:
        """Idempotent. Cancels what is under way."""
        checks = list(self._checks)
        for task in checks:
            task.cancel()
        await asyncio.gather(*checks, return_exceptions=True)
        await self._end()

    async def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            if process.returncode is None:
                process.kill()
            await process.wait()

    async def _start(self) -> Process:
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", WORKER, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        try:
            await self._ask(self._process, packed(self._describe()), START_SECONDS)
        except (OSError, EOFError, TimeoutError) as error:
            raise Unavailable(f"the process that checks grammars does not start: {error!r}") from None
        except PieError:
            await self._end()
            raise
        return self._process

    async def _ask(self, process: Process, message: bytes, seconds: float) -> None:
        """Raises the error that it answers with; `TimeoutError`, and `EOFError` or `OSError` when it is gone.
        Without an answer the process is ended: a late one would be taken for the next grammar's."""
        answer: Answer | None = None
        try:
            answer = await asyncio.wait_for(exchange(process, message), seconds)
        finally:
            if answer is None:
                await self._end()
        if answer.error:
            raise ERRORS.get(answer.error, InvalidArgument)(answer.message)


async def exchange(process: Process, message: bytes) -> Answer:
    """Raises `EOFError` or `OSError` when the process is gone."""
    source, out = process.stdout, process.stdin
    if source is None or out is None:
        raise EOFError
    out.write(message)
    await out.drain()
    (length,) = LENGTH.unpack(await source.readexactly(LENGTH.size))
    return msgspec.msgpack.decode(await source.readexactly(length), type=Answer)
