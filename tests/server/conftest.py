from collections.abc import AsyncIterator

import httpx
import pytest

from pie.testing.serving import Served, serve_scripts


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    async with serve_scripts() as served:
        yield served


@pytest.fixture
async def http(served: Served) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=served.url, timeout=10) as client:
        yield client
