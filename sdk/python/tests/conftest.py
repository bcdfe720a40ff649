"""A fake server for each test that wants one."""

from collections.abc import Iterator

import pytest

from inferlet.testing import FakeHost


@pytest.fixture
def host() -> Iterator[FakeHost]:
    with FakeHost() as bound:
        yield bound
