"""One application for all tests here; a fresh program for each."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from bench import Bench, open_bench
from puppet import Puppet

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All tests of this folder share the application, so they share its event loop."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.wasm)
            if isinstance(item, pytest.Function) and asyncio.iscoroutinefunction(item.function):
                item.add_marker(pytest.mark.asyncio(loop_scope="package"), append=False)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--marked-calls", action="store_true", help="print which calls the tests cover")


def pytest_collection_finish(session: pytest.Session) -> None:
    """For `scripts/coverage.py`."""
    if session.config.getoption("--marked-calls", False):
        for item in session.items:
            for marker in item.iter_markers("call"):
                print("call", *marker.args)


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def running() -> AsyncIterator[Bench]:
    bench = open_bench()
    await bench.application.start()
    yield bench
    await bench.application.close(grace_seconds=0)


@pytest_asyncio.fixture(loop_scope="package")
async def bench(running: Bench) -> AsyncIterator[Bench]:
    """Afterwards everything that programs took must be back."""
    yield running
    await running.forget_names()
    for instance in running.application.instances():
        instance.cancel()
    running.control.check_integrity()
    assert running.held() == (0, 0, 0, 0)


@pytest_asyncio.fixture(loop_scope="package")
async def puppet(bench: Bench) -> Puppet:
    """A program with the scene of `bench.py`."""
    return await bench.puppet("--one", "two")
