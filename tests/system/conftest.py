"""The whole stack with the real model, once for all tests here, and a look around after each of them."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio
from whole import Held, Whole

from pie.launch import open_stack
from pie.settings import Settings

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All tests of this folder share the stack, so they share its event loop."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.model)
            item.add_marker(pytest.mark.wasm)
            if isinstance(item, pytest.Function) and asyncio.iscoroutinefunction(item.function):
                item.add_marker(pytest.mark.asyncio(loop_scope="package"), append=False)


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def running() -> AsyncIterator[Whole]:
    async with open_stack(Settings(wall_seconds=240.0, precision="fp32")) as stack:
        yield Whole(stack)


@pytest_asyncio.fixture(loop_scope="package")
async def whole(running: Whole) -> AsyncIterator[Whole]:
    """The stack; afterwards everything that the test took must be back."""
    before = held(running)
    yield running
    await running.settle()
    after = held(running)
    # What start-up or earlier tests have left behind may come to its end meanwhile.
    assert (
        replace(
            after,
            tasks=max(after.tasks, before.tasks),
            descriptors=max(after.descriptors, before.descriptors),
        )
        == before
    )


def held(whole: Whole) -> Held:
    model = next(iter(whole.stack.control.statistics().models.values()))
    whole.stack.control.check_integrity()
    return Held(
        pages=model.pages.held,
        embs=model.embs.held,
        queues=model.queues,
        sessions=whole.stack.control.statistics().sessions,
        alive=whole.stack.application.statistics().alive,
        tasks=len(asyncio.all_tasks()),
        descriptors=len(list(Path("/proc/self/fd").iterdir())),
    )
