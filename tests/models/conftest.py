import http.server
from pathlib import Path

import pytest

from pie.cli.options import load_settings
from pie.core.progress import NoProgress
from pie.models import DEFAULT_SOURCE, ModelStore, ModelTokenizer, StoredModel, load_tokenizer
from pie.models.tiny import write_tiny_llama
from pie.models.tiny_gguf import write_tiny_gguf


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    return ModelStore(tmp_path / "home")


@pytest.fixture
def tiny_folder(tmp_path: Path) -> Path:
    return write_tiny_llama(tmp_path / "Tiny-Llama")


@pytest.fixture
def tiny_gguf(tmp_path: Path) -> Path:
    return write_tiny_gguf(tmp_path / "Tiny-Llama.Q8_0.gguf", format="Q8_0")


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> StoredModel:
    folder = tmp_path_factory.mktemp("tiny")
    return ModelStore(folder / "home").pull(str(write_tiny_llama(folder / "tiny")), NoProgress())


@pytest.fixture(scope="session")
def tiny_tokenizer(tiny_model: StoredModel) -> ModelTokenizer:
    return load_tokenizer(tiny_model)


@pytest.fixture(scope="session")
def default_model() -> StoredModel:
    """The default model in the user's own store, fetched when it is not there."""
    return ModelStore(load_settings().home).pull(DEFAULT_SOURCE, NoProgress())


@pytest.fixture(scope="session")
def default_tokenizer(default_model: StoredModel) -> ModelTokenizer:
    return load_tokenizer(default_model)


@pytest.fixture
def closed_port() -> int:
    """A port of this machine on which nobody listens."""
    server = http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler)
    port = server.server_address[1]
    server.server_close()
    return port
