"""Models for the tests of this room: tiny random Llamas, and the default one where it must be real."""

from collections.abc import Callable
from pathlib import Path

import pytest

from pie.core.progress import NoProgress
from pie.inference.kernels.build import Builder
from pie.inference.kernels.library import Kernels
from pie.models import DEFAULT_SOURCE, ModelConfig, ModelStore, StoredModel
from pie.models.tiny import TINY, write_tiny_llama
from pie.settings import Settings

MakeModel = Callable[[ModelConfig], StoredModel]


@pytest.fixture
def make_model(tmp_path: Path) -> MakeModel:
    """Stores a random model of the given shape in a home of its own."""

    def make(config: ModelConfig) -> StoredModel:
        folder = write_tiny_llama(tmp_path / f"tiny-{config.hidden_size}", config)
        return ModelStore(tmp_path / "home").pull(str(folder), NoProgress())

    return make


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> StoredModel:
    folder = tmp_path_factory.mktemp("inference")
    return ModelStore(folder / "home").pull(str(write_tiny_llama(folder / "tiny", TINY)), NoProgress())


@pytest.fixture(scope="session")
def home(tiny_model: StoredModel) -> Path:
    return tiny_model.folder.parent.parent


@pytest.fixture(scope="session")
def default_model() -> StoredModel:
    """The default model in the user's own store, fetched when it is not there."""
    return ModelStore(Settings().home).pull(DEFAULT_SOURCE, NoProgress())


@pytest.fixture(scope="session")
def kernels_folder() -> Path:
    """The user's own: compiled once, not for each run of the tests."""
    return Settings().home / "kernels"


@pytest.fixture(scope="session")
def kernels(kernels_folder: Path) -> Kernels:
    return Kernels(Builder(kernels_folder).build(NoProgress()), threads=2)
