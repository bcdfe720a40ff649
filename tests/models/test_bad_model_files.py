"""Whatever stands in a file, reading it ends in a model or in a `BadModel`, and costs no more memory than
the file is long."""

import tracemalloc
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pie.core.errors import BadModel
from pie.core.progress import NoProgress
from pie.models.gguf_file import read_gguf
from pie.models.local import fetch_local
from pie.models.prepare import prepare
from pie.models.safetensors_file import read_safetensors
from pie.models.sources import LocalSource
from pie.models.tiny import write_tiny_llama
from pie.models.tiny_gguf import write_tiny_gguf

MANY = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
EXTREMES = [0, 1, 0x7F, 0x80, 0xFF]
EDITS = st.lists(
    st.tuples(
        st.floats(0, 1, exclude_max=True),
        st.one_of(st.sampled_from(EXTREMES), st.integers(0, 255)),
        st.integers(1, 8),
    ),
    min_size=1,
    max_size=4,
)


def mutated(data: bytes, head: int, edits: list[tuple[float, int, int]]) -> bytes:
    """`data` with runs of one byte written somewhere into its first `head` bytes."""
    result = bytearray(data)
    for place, byte, length in edits:
        start = int(place * head)
        result[start : start + length] = bytes([byte]) * len(result[start : start + length])
    return bytes(result)


def succeeds(action: Callable[[], object]) -> bool:
    try:
        action()
    except BadModel:
        return False
    return True


@pytest.fixture(scope="module")
def gguf_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_gguf(tmp_path_factory.mktemp("gguf") / "tiny.gguf")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_llama(tmp_path_factory.mktemp("folder") / "tiny")


def pull(path: Path, workspace: Path) -> None:
    """Everything a pull reads and checks."""
    workspace.mkdir(exist_ok=True)
    prepare(fetch_local(LocalSource(path), NoProgress()), "tiny", "test", workspace)


@MANY
@given(edits=EDITS)
def test_a_gguf_with_a_changed_head(
    gguf_file: Path, tmp_path: Path, edits: list[tuple[float, int, int]]
) -> None:
    whole = gguf_file.read_bytes()
    first = min(entry.offset for entry in read_gguf(gguf_file).tensors.values())
    path = tmp_path / "bad.gguf"
    path.write_bytes(mutated(whole, first, edits))
    succeeds(lambda: pull(path, tmp_path / "workspace"))


@MANY
@given(edits=EDITS)
def test_a_safetensors_file_with_a_changed_header(
    folder: Path, tmp_path: Path, edits: list[tuple[float, int, int]]
) -> None:
    whole = (folder / "model.safetensors").read_bytes()
    path = tmp_path / "bad.safetensors"
    path.write_bytes(mutated(whole, 8 + int.from_bytes(whole[:8], "little"), edits))
    succeeds(lambda: [entry.read() for entry in read_safetensors(path).values()])


@MANY
@given(edits=EDITS, name=st.sampled_from(["config.json", "tokenizer.json", "tokenizer_config.json"]))
def test_a_folder_with_a_changed_json_file(
    folder: Path, tmp_path: Path, name: str, edits: list[tuple[float, int, int]]
) -> None:
    bad = tmp_path / "bad"
    bad.mkdir(exist_ok=True)
    for path in folder.iterdir():
        data = path.read_bytes()
        (bad / path.name).write_bytes(mutated(data, len(data), edits) if path.name == name else data)
    succeeds(lambda: pull(bad, tmp_path / "workspace"))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(share=st.floats(0, 1, exclude_max=True))
def test_a_truncated_file_is_never_taken_for_a_whole_one(
    gguf_file: Path, folder: Path, tmp_path: Path, share: float
) -> None:
    readers: list[tuple[Path, Callable[[Path], object]]] = [
        (gguf_file, read_gguf),
        (folder / "model.safetensors", read_safetensors),
    ]
    for whole, read in readers:
        path = tmp_path / f"cut{whole.suffix}"
        data = whole.read_bytes()
        path.write_bytes(data[: int(len(data) * share)])
        assert not succeeds(partial(read, path))


@MANY
@given(edits=EDITS)
def test_reading_a_bad_head_takes_memory_of_the_order_of_the_file(
    gguf_file: Path, tmp_path: Path, edits: list[tuple[float, int, int]]
) -> None:
    """A Python list costs more than the numbers it holds, hence the factor."""
    whole = gguf_file.read_bytes()
    path = tmp_path / "bad.gguf"
    path.write_bytes(mutated(whole, 2000, edits))
    tracemalloc.start()
    try:
        succeeds(lambda: read_gguf(path))
        assert tracemalloc.get_traced_memory()[1] < 1_000_000 + 40 * len(whole)
    finally:
        tracemalloc.stop()
