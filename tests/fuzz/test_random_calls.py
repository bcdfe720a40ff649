"""Whatever programs call with whatever arguments: nothing breaks, nothing is lost, nobody else notices."""

import asyncio
from pathlib import Path

import pytest
import pytest_asyncio
from arguments import ARGUMENTS
from fuzz import CALLS, Fuzz, alone

CALLS_MADE = 2000


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def fuzz() -> Fuzz:
    """After its run."""
    fuzz = Fuzz(seed=1)
    await fuzz.run(CALLS_MADE)
    return fuzz


@pytest.mark.asyncio(loop_scope="module")
async def test_no_call_breaks_and_each_refusal_says_why(fuzz: Fuzz) -> None:
    assert fuzz.report.problems == []
    assert fuzz.report.calls == CALLS_MADE


@pytest.mark.asyncio(loop_scope="module")
async def test_every_function_is_called_and_many_calls_are_fine(fuzz: Fuzz) -> None:
    assert fuzz.report.missed() == []
    assert fuzz.report.fine.total() > CALLS_MADE / 3
    assert len(fuzz.report.fine) > len(CALLS) * 2 / 3


@pytest.mark.asyncio(loop_scope="module")
async def test_everything_is_given_back(fuzz: Fuzz) -> None:
    fuzz.control.check_integrity()
    statistics = fuzz.control.statistics()
    model = statistics.models["fake"]
    pools = (model.pages, model.embs, model.slots, model.matchers)
    assert (statistics.sessions, model.queues, [pool.held for pool in pools]) == (0, 0, [0, 0, 0, 0])
    assert model.passes_in_flight == 0
    assert len(fuzz.services.topics) == 0


@pytest.mark.asyncio(loop_scope="module")
async def test_a_neighbour_gets_the_tokens_that_it_gets_alone(fuzz: Fuzz) -> None:
    assert len(fuzz.neighbours_tokens) > CALLS_MADE / 10
    assert fuzz.neighbours_tokens == await alone(len(fuzz.neighbours_tokens))


@pytest.mark.asyncio(loop_scope="module")
async def test_the_same_seed_makes_the_same_calls() -> None:
    """As far as they do not depend on how soon threads and timers are done."""
    first, second = Fuzz(seed=2), Fuzz(seed=2)
    await first.run(60)
    await second.run(60)
    assert first.report.fine == second.report.fine


async def test_no_task_and_no_descriptor_is_left() -> None:
    before = len(asyncio.all_tasks()), descriptors()
    await Fuzz(seed=3).run(300)
    await asyncio.sleep(0)
    assert (len(asyncio.all_tasks()), descriptors()) == before


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_there_are_arguments_for_every_parameter() -> None:
    assert {name for _, names in CALLS.values() for name in names} == set(ARGUMENTS)
