"""A safetensors header is read as it is written by the reference library, and nothing in it is believed."""

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from pie.core.errors import BadModel
from pie.models.safetensors_file import read_safetensors


def write(path: Path, header: object, data: bytes = bytes(16)) -> Path:
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(len(raw).to_bytes(8, "little") + raw + data)
    return path


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_tensors_come_back_as_they_were_saved(tmp_path: Path, dtype: type[np.floating]) -> None:
    path = tmp_path / "a.safetensors"
    saved = {"x": np.arange(12, dtype=dtype).reshape(3, 4), "y": np.ones(5, dtype)}
    save_file(saved, path, metadata={"format": "pt"})
    entries = read_safetensors(path)
    assert entries.keys() == saved.keys()
    for name, values in saved.items():
        np.testing.assert_array_equal(entries[name].read(), values.astype(np.float32))


def test_bf16_is_read_without_torch(tmp_path: Path) -> None:
    halves = (np.array([1.0, -2.5, 3.140625], np.float32).view(np.uint32) >> 16).astype(np.uint16)
    path = write(tmp_path / "a.safetensors", entry("BF16", (3,), (0, 6)), halves.tobytes())
    np.testing.assert_array_equal(read_safetensors(path)["x"].read(), [1.0, -2.5, 3.140625])


def entry(dtype: str = "F32", shape: object = (4,), offsets: object = (0, 16)) -> dict[str, object]:
    return {"x": {"dtype": dtype, "shape": shape, "data_offsets": offsets}}


@pytest.mark.parametrize(
    ("header", "complaint"),
    [
        (entry(offsets=(0, 2**50)), "past the end"),
        (entry(offsets=(-4, 16)), "past the end"),
        (entry(offsets=(16, 0)), "past the end"),
        (entry(shape=(2**40, 2**40)), "do not fit its shape"),
        (entry(shape=(-1, -4)), "impossible shape"),
        (entry(shape=[1] * 1000), "impossible shape"),
        (entry(shape="four"), "sound"),
        ({"x": 3}, "sound"),
        ([1, 2], "sound"),
        (b"\xff\xff\xff", "sound"),
        (b"[" * 100_000, "sound"),
    ],
)
def test_a_lying_header_is_refused_with_a_reason(tmp_path: Path, header: object, complaint: str) -> None:
    with pytest.raises(BadModel, match=complaint):
        read_safetensors(write(tmp_path / "a.safetensors", header))


@pytest.mark.parametrize("data", [b"", b"\x01", bytes([255] * 8), (2**40).to_bytes(8, "little") + b"{}"])
def test_a_header_longer_than_the_file_is_never_read(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "a.safetensors"
    path.write_bytes(data)
    with pytest.raises(BadModel, match="sound"):
        read_safetensors(path)


def test_a_number_format_we_cannot_read_is_an_error_only_when_it_is_used(tmp_path: Path) -> None:
    entries = read_safetensors(write(tmp_path / "a.safetensors", entry(dtype="F8_E4M3")))
    with pytest.raises(BadModel, match=r"'x'.*F8_E4M3"):
        entries["x"].read()


def test_a_file_that_shrinks_after_its_header_was_read_is_an_error(tmp_path: Path) -> None:
    path = write(tmp_path / "a.safetensors", entry())
    tensor = read_safetensors(path)["x"]
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(BadModel, match="ends inside"):
        tensor.read()
