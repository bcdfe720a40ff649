"""Grammars of programs: checked in a process that can be killed, remembered, counted."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from pie.application.futures import Future
from pie.application.grammars import Grammars, OwnGrammars
from pie.application.settings import ApplicationSettings
from pie.core.errors import InvalidArgument, LimitExceeded, Unavailable, UnknownId
from pie.core.grammar import Grammar
from pie.models.grammar_worker import Beginning

STOP = 256


BLOWN_UP = "start: " + "x*" * 9000 + '"b"\nx: "a"'
"""Takes a second on a fast machine, several on others."""
LARGE = "start: " + '"a"|' * 6000 + '"b"'
"""Takes some tenths of a second."""


def describe(model: str) -> Beginning:
    del model
    return Beginning([bytes([i]) for i in range(256)] + [b""], {STOP: "<end>"}, [STOP], 0.05)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def grammars(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Grammars]:
    settings = ApplicationSettings(
        tmp_path_factory.mktemp("home"), grammar_wait_seconds=30.0, max_grammars=3, max_grammar_bytes=40_000
    )
    found = Grammars(settings, describe)
    yield found
    await found.close()


@pytest.fixture
def own(grammars: Grammars) -> OwnGrammars:
    return OwnGrammars(grammars)


async def outcome(future: Future) -> object:
    """Its value; raises its error."""
    if not future.done:
        done = asyncio.get_running_loop().create_future()
        future.wake = lambda: done.set_result(None)
        await asyncio.wait_for(done, 60)
    return future.result()


pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_good_grammar_gets_a_number(own: OwnGrammars) -> None:
    model, grammar = await outcome(own.compile("m", "regex", "a+"))  # type: ignore[misc]
    number = own.keep(model, grammar)
    assert own.find(number, "m") == grammar == Grammar("regex", "a+", grammar.digest)
    with pytest.raises(InvalidArgument, match="was compiled for m, the queue is of other"):
        own.find(number, "other")
    own.drop(number)
    own.drop(number)
    with pytest.raises(UnknownId, match="grammar 1 has been dropped"):
        own.find(number, "m")
    with pytest.raises(UnknownId, match="grammar 2 was never given out"):
        own.find(2, "m")


async def test_what_was_checked_once_is_ready_at_once(grammars: Grammars, own: OwnGrammars) -> None:
    await outcome(own.compile("m", "regex", "b+"))
    assert OwnGrammars(grammars).compile("m", "regex", "b+").done
    assert not OwnGrammars(grammars).compile("m", "lark", "b+").done


async def test_a_bad_grammar_fails_the_future_with_the_place(own: OwnGrammars) -> None:
    with pytest.raises(InvalidArgument, match="line 1, column 8: unknown name"):
        await outcome(own.compile("m", "lark", "start: a"))


async def test_a_grammar_that_takes_too_long_is_given_up_and_the_next_is_checked(tmp_path: Path) -> None:
    hasty = Grammars(ApplicationSettings(tmp_path, grammar_wait_seconds=0.3), describe)
    own = OwnGrammars(hasty)
    with pytest.raises(LimitExceeded, match=r"takes longer than 0.3 s"):
        await outcome(own.compile("m", "lark", BLOWN_UP))
    assert await outcome(own.compile("m", "regex", "c+"))
    await hasty.close()


async def test_a_grammar_that_the_driver_would_compile_for_too_long_is_refused(own: OwnGrammars) -> None:
    with pytest.raises(LimitExceeded, match="compiling takes over"):
        await outcome(own.compile("m", "lark", LARGE))


async def test_a_program_has_a_bounded_number_of_grammars(own: OwnGrammars) -> None:
    waiting = [own.compile("m", "regex", f"d{i}") for i in range(3)]
    with pytest.raises(LimitExceeded, match="3 grammars are there already"):
        own.compile("m", "regex", "d3")
    for future in waiting:
        model, grammar = await outcome(future)  # type: ignore[misc]
    own.keep(model, grammar)
    assert await outcome(own.compile("m", "regex", "d3"))


async def test_a_long_grammar_is_refused_at_once(own: OwnGrammars) -> None:
    with pytest.raises(LimitExceeded, match="a grammar of 40002 bytes: at most 40000 are allowed"):
        own.compile("m", "regex", "ä" * 20_001)


async def test_nobody_else_waits_for_a_program_that_asks_for_many(grammars: Grammars) -> None:
    greedy, modest = OwnGrammars(grammars), OwnGrammars(grammars)
    order: list[str] = []
    many = [greedy.compile("m", "regex", f"e{i}") for i in range(3)]
    for future in many:
        future.wake = lambda: order.append("greedy")
    await outcome(modest.compile("m", "regex", "f"))
    order.append("modest")
    for future in many:
        await outcome(future)
    assert order.index("modest") <= 1


async def test_a_dropped_question_harms_nobody(own: OwnGrammars) -> None:
    future = own.compile("m", "regex", "g+")
    assert future.on_drop is not None
    future.on_drop(future)
    assert await outcome(own.compile("m", "regex", "h+"))
    assert not future.done


async def test_a_model_that_cannot_end_a_text_takes_no_grammars(tmp_path: Path) -> None:
    endless = Grammars(ApplicationSettings(tmp_path), lambda _: Beginning([b"a"], {}, [], 1.0))
    for _ in range(2):
        with pytest.raises(Unavailable, match="no token that ends a text"):
            await outcome(OwnGrammars(endless).compile("m", "regex", "a"))
    await endless.close()


async def test_closing_ends_the_process_and_what_waits(tmp_path: Path) -> None:
    closing = Grammars(ApplicationSettings(tmp_path), describe)
    OwnGrammars(closing).compile("m", "regex", "a")
    await asyncio.sleep(0)
    await closing.close()
