"""Grammars of all programs: checked once, off the loop, then remembered."""

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Callable, Coroutine
from typing import Any

from pie.application.futures import Future
from pie.application.grammar_checker import GrammarChecker
from pie.application.settings import ApplicationSettings
from pie.control import Control
from pie.core.errors import InvalidArgument, LimitExceeded, PieError, UnknownId
from pie.core.grammar import Grammar, GrammarKind
from pie.models.grammar_worker import Beginning

REMEMBERED = 256
"""Grammars that need no second check."""


class Grammars:
    """Of one application. A program has one check under way at a time: who asks for many does not keep the
    others from theirs."""

    def __init__(self, settings: ApplicationSettings, describe: Callable[[str], Beginning]) -> None:
        """`describe` tells what the tokens of a model are."""
        self.settings = settings
        self._describe = describe
        self._checkers: dict[str, GrammarChecker] = {}
        self._good: OrderedDict[tuple[str, str], Grammar] = OrderedDict()
        self._tasks: set[asyncio.Task[None]] = set()

    def known(self, model: str, digest: str) -> Grammar | None:
        """One that was checked lately."""
        found = self._good.get((model, digest))
        if found is not None:
            self._good.move_to_end((model, digest))
        return found

    async def check(self, model: str, kind: GrammarKind, text: str) -> Grammar:
        """Raises `InvalidArgument` or `LimitExceeded`, which say why not."""
        digest = digest_of(kind, text)
        if self.known(model, digest) is None:
            await self._checker(model).check(kind, text)
            self._good[model, digest] = Grammar(kind, text, digest)
            if len(self._good) > REMEMBERED:
                self._good.popitem(last=False)
        return self._good[model, digest]

    def start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for checker in self._checkers.values():
            await checker.close()

    def _checker(self, model: str) -> GrammarChecker:
        if model not in self._checkers:
            seconds = self.settings.grammar_wait_seconds
            self._checkers[model] = GrammarChecker(lambda: self._describe(model), seconds)
        return self._checkers[model]


def open_grammars(settings: ApplicationSettings, control: Control) -> Grammars:
    def describe(model: str) -> Beginning:
        tokenizer, info = control.tokenizer(model), control.model(model)
        special, stop_tokens = dict(tokenizer.special_tokens()), list(info.stop_tokens)
        return Beginning(tokenizer.vocabulary(), special, stop_tokens, settings.grammar_seconds)

    return Grammars(settings, describe)


class OwnGrammars:
    """One program's grammars, by the numbers it knows them under."""

    def __init__(self, grammars: Grammars) -> None:
        self._grammars = grammars
        self._turn = asyncio.Lock()
        self._found: dict[int, tuple[str, Grammar]] = {}
        self._asked = 0
        self._next = 1

    def compile(self, model: str, kind: GrammarKind, text: str) -> Future:
        """Resolves with model and `Grammar`, to be kept with `keep`. Raises `LimitExceeded` for a text that
        is too long, or too many grammars; what is wrong with the grammar itself fails the future."""
        settings = self._grammars.settings
        size, most = len(text.encode()), settings.max_grammar_bytes
        if size > most:
            raise LimitExceeded(f"a grammar of {size} bytes: at most {most} are allowed")
        if self._asked + len(self._found) >= settings.max_grammars:
            raise LimitExceeded(
                f"{settings.max_grammars} grammars are there already, as many as allowed: drop_grammar some"
            )
        known = self._grammars.known(model, digest_of(kind, text))
        if known is not None:
            future = Future()
            future.resolve((model, known))
            return future
        return self._check(model, kind, text)

    def keep(self, model: str, grammar: Grammar) -> int:
        """Its number, counted from 1."""
        number = self._next
        self._next = number + 1
        self._found[number] = model, grammar
        return number

    def find(self, number: int, model: str) -> Grammar:
        """Raises `UnknownId`, and `InvalidArgument` for a grammar of another model."""
        if number not in self._found:
            state = "has been dropped" if 0 < number < self._next else "was never given out"
            raise UnknownId(f"grammar {number} {state}: compile_grammar makes one")
        owner, grammar = self._found[number]
        if owner != model:
            raise InvalidArgument(f"grammar {number} was compiled for {owner}, the queue is of {model}")
        return grammar

    def drop(self, number: int) -> None:
        """A number that is gone already does no harm."""
        self._found.pop(number, None)

    def _check(self, model: str, kind: GrammarKind, text: str) -> Future:
        self._asked += 1

        async def run() -> None:
            try:
                async with self._turn:
                    found = await self._grammars.check(model, kind, text)
            except PieError as error:
                future.fail(error)
            else:
                future.resolve((model, found))
            finally:
                self._asked -= 1

        task = self._grammars.start(run())
        future = Future(lambda dropped: None if dropped.done else cancel(task))
        return future


def cancel(task: "asyncio.Task[None]") -> None:
    task.cancel()


def digest_of(kind: GrammarKind, text: str) -> str:
    return hashlib.sha256(f"{kind}:{text}".encode()).hexdigest()
