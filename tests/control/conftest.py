import pytest
from world import World


@pytest.fixture
def world() -> World:
    """A driver that answers at once."""
    return World()


@pytest.fixture
def slow() -> World:
    """A driver that takes a second for each pass."""
    return World(auto=False)
