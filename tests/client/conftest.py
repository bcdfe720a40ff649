from collections.abc import AsyncIterator

import pytest

from pie.testing.serving import Served, serve_scripts


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    async with serve_scripts() as served:
        yield served
