"""The same tests against every executor: the fake one, and a tiny random Llama on torch and on kernels; on a
GPU too where there is one."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hand import Hand

from pie.core.driver import Executor
from pie.core.progress import NoProgress
from pie.inference.executor import ModelExecutor
from pie.inference.settings import InferenceSettings
from pie.models import ModelStore, StoredModel
from pie.models.tiny import TINY, write_tiny_llama
from pie.models.tiny_adapter import write_tiny_adapter
from pie.settings import Settings
from pie.testing import FakeExecutor, fake_spec

SETTINGS = InferenceSettings(
    page_size=8, pages=32, host_pages=4, disk_pages=4, embs=256, threads=1, precision="fp32", kernels="torch"
)
CUDA = ["cuda"] if torch.cuda.is_available() else []


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> StoredModel:
    folder = tmp_path_factory.mktemp("contract")
    return ModelStore(folder / "home").pull(str(write_tiny_llama(folder / "tiny")), NoProgress())


@pytest.fixture(params=["fake", "torch", "compiled", *CUDA])
def executor(request: pytest.FixtureRequest, tiny_model: StoredModel) -> Executor:
    """A new one for each test, with 32 pages of 8 tokens and 256 embedding slots."""
    if request.param == "torch":
        return ModelExecutor(tiny_model, SETTINGS)
    if request.param == "cuda":
        return ModelExecutor(tiny_model, replace(SETTINGS, kernels="auto", device="cuda", cuda_graphs=True))
    if request.param == "compiled":
        folder = Settings().home / "kernels"
        return ModelExecutor(tiny_model, replace(SETTINGS, kernels="auto", kernels_folder=str(folder)))
    spec = fake_spec(
        SETTINGS.pages, SETTINGS.embs, SETTINGS.page_size, TINY.vocabulary_size,
        host_pages=SETTINGS.host_pages, disk_pages=SETTINGS.disk_pages,
    )  # fmt: skip
    return FakeExecutor(spec)


@pytest.fixture(params=["fake", "torch"])
def adapted_executor(
    request: pytest.FixtureRequest, tiny_model: StoredModel, tmp_path_factory: pytest.TempPathFactory
) -> Executor:
    """The same with the adapters "a" and "b"."""
    if request.param == "fake":
        return FakeExecutor(fake_spec(32, 256, SETTINGS.page_size, TINY.vocabulary_size, adapters=("a", "b")))
    folder = tmp_path_factory.mktemp("adapters")
    named = tuple((name, str(write_tiny_adapter(folder / name, seed=i))) for i, name in enumerate("ab"))
    return ModelExecutor(tiny_model, replace(SETTINGS, adapters=named))


@pytest.fixture
def hand(executor: Executor) -> Hand:
    return Hand(executor)


@pytest.fixture
def home(tiny_model: StoredModel) -> Path:
    return tiny_model.folder.parent.parent
