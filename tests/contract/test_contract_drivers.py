"""The same tests against every `Driver`: the fake one, and a driver process over either executor."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from hand import OUT

from pie.core.driver import Driver
from pie.core.passes import Pass, PassResult
from pie.inference.process import EXECUTOR, DriverProcess
from pie.inference.settings import InferenceSettings
from pie.models import StoredModel
from pie.testing import FakeDriver, FakeExecutor, fake_spec
from pie.testing.passes import PassBuilder

SETTINGS = InferenceSettings(
    page_size=8, pages=32, embs=256, threads=1, restart_delay_seconds=0.01, precision="fp32", kernels="torch"
)
HEARTS = {"process of the fake": "fake_heart:open_fake", "process of a model": EXECUTOR}


class Answers:
    """What a driver said, in order."""

    def __init__(self, driver: Driver) -> None:
        self._said: asyncio.Queue[PassResult] = asyncio.Queue()
        driver.attach(self._said.put_nowait, self._lost, self._lost)

    async def take(self, count: int) -> list[PassResult]:
        return [await asyncio.wait_for(self._said.get(), 60) for _ in range(count)]

    def _lost(self, reason: str = "restored") -> None:
        self._said.put_nowait(PassResult(-1, 0.0, error=reason))


@asynccontextmanager
async def opened(kind: str, model: StoredModel) -> AsyncIterator[Driver]:
    if kind == "fake":
        yield FakeDriver(FakeExecutor(fake_spec(32, 256, 8, 320)))
        return
    process = DriverProcess(model.folder, model.folder.parent.parent, SETTINGS, HEARTS[kind])
    try:
        await process.start()
        yield process
    finally:
        await process.close()


ALL = ["fake", *HEARTS]
WITHOUT_TORCH = ALL[:-1]
"""Where torch, slow to start, could show nothing new."""


@pytest.fixture
async def driver(
    request: pytest.FixtureRequest, tiny_model: StoredModel, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Driver]:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    async with opened(request.param, tiny_model) as driver:
        yield driver


def step(number: int, position: int) -> Pass:
    """One more token on page 1; asks for the distribution after it, and for the score of three tokens."""
    builder = PassBuilder(number).embed([9 + position], [position], [0])
    if position == 0:
        builder.fresh(1)
    return builder.forward([0], [1], [8 + position], {0: OUT}).dist(OUT, 5, [1, 2, 3]).build()


@pytest.mark.parametrize("driver", WITHOUT_TORCH, indirect=True)
async def test_a_driver_says_what_it_offers(driver: Driver) -> None:
    spec = driver.spec
    assert (spec.page_size, spec.pages, spec.embs, spec.vocabulary_size) == (8, 32, 256, 320)


@pytest.mark.parametrize("driver", WITHOUT_TORCH, indirect=True)
async def test_answers_come_in_the_order_of_submission(driver: Driver) -> None:
    answers = Answers(driver)
    for position in range(8):
        driver.submit(step(100 + position, position))
    results = await answers.take(8)
    assert [result.number for result in results] == list(range(100, 108))
    assert all(result.error == "" for result in results)


@pytest.mark.parametrize("driver", ALL, indirect=True)
async def test_numbers_cross_unchanged(driver: Driver) -> None:
    answers = Answers(driver)
    driver.submit(step(1, 0))
    driver.submit(step(2, 0))
    first, second = await answers.take(2)
    assert len(first.top_tokens) == len(first.top_probs) == 5
    assert (list(first.top_starts), len(first.chosen_logprobs), len(first.entropies)) == ([0, 5], 3, 1)
    assert (first.top_tokens, first.top_probs, first.chosen_logprobs, first.entropies) == (
        second.top_tokens,
        second.top_probs,
        second.chosen_logprobs,
        second.entropies,
    )


@pytest.mark.parametrize("driver", WITHOUT_TORCH, indirect=True)
async def test_a_bad_pass_is_answered_with_an_error_and_the_next_one_works(driver: Driver) -> None:
    answers = Answers(driver)
    driver.submit(PassBuilder(1).fresh(1000).build())
    driver.submit(step(2, 0))
    bad, good = await answers.take(2)
    assert (bad.number, bool(bad.error)) == (1, True)
    assert (good.number, good.error) == (2, "")
