"""The head of a GGUF file is read as the `gguf` package reads it, and nothing in it is believed."""

import struct
from pathlib import Path

import gguf
import pytest

from pie.core.errors import BadModel
from pie.models.gguf_file import read_gguf


def text(value: str) -> bytes:
    return struct.pack("<Q", len(value.encode())) + value.encode()


def head(tensors: int = 0, fields: int = 0, version: int = 3) -> bytes:
    return b"GGUF" + struct.pack("<IQQ", version, tensors, fields)


def read(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "file.gguf"
    path.write_bytes(data)
    read_gguf(path)


def test_metadata_and_tensors_are_what_the_reference_reader_finds(tiny_gguf: Path) -> None:
    ours, reference = read_gguf(tiny_gguf), gguf.GGUFReader(tiny_gguf)
    theirs = {key: field.contents() for key, field in reference.fields.items() if not key.startswith("GGUF.")}
    assert ours.metadata == theirs
    for tensor in reference.tensors:
        entry = ours.tensors[tensor.name]
        assert entry.offset == tensor.data_offset
        assert entry.size_bytes == tensor.n_bytes
        assert list(entry.shape) == list(reversed(tensor.shape.tolist()))


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (b"", "empty"),
        (b"GG", "past the end"),
        (b"PK\x03\x04" + bytes(60), "does not begin with GGUF"),
        (head(version=1), "version 1"),
        (head(version=3 << 24), "big-endian"),
        (head(fields=2**63), "past the end"),
        (head(tensors=2**60), "past the end"),
        (head(fields=1) + struct.pack("<Q", 2**62) + bytes(32), "past the end"),
        (head(fields=1) + text("key") + struct.pack("<IIQ", 9, 4, 2**61), "past the end"),
        (head(fields=1) + text("key") + struct.pack("<IIQ", 9, 8, 2**61), "past the end"),
        (head(fields=1) + text("key") + struct.pack("<IIQ", 9, 9, 1) + bytes(16), "array of arrays"),
        (head(fields=1) + text("key") + struct.pack("<IQ", 77, 0), "unknown value type 77"),
        (head(fields=1) + struct.pack("<Q", 2) + b"\xff\xfe" + bytes(20), "UTF-8"),
        (head(fields=2) + 2 * (text("key") + struct.pack("<IQ", 10, 1)), "twice"),
    ],
)
def test_a_lying_head_is_refused_with_a_reason(tmp_path: Path, data: bytes, complaint: str) -> None:
    with pytest.raises(BadModel, match=complaint):
        read(tmp_path, data)


def tensor(name: str, sizes: list[int], kind: int = 0, offset: int = 0) -> bytes:
    return text(name) + struct.pack(f"<I{len(sizes)}QIQ", len(sizes), *sizes, kind, offset)


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (tensor("a", [2**40, 2**40]), "past the end"),
        (tensor("a", [4], offset=2**62), "past the end"),
        (tensor("a", [4, 0]), "size 0"),
        (tensor("a", [33], kind=8), "whole blocks"),
        (text("a") + struct.pack("<I", 2**31) + bytes(64), "dimensions"),
    ],
)
def test_a_tensor_that_cannot_lie_in_the_file_is_refused(tmp_path: Path, data: bytes, complaint: str) -> None:
    with pytest.raises(BadModel, match=complaint):
        read(tmp_path, head(tensors=1) + data)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadModel, match=r"nothing\.gguf"):
        read_gguf(tmp_path / "nothing.gguf")


def test_without_arrays_the_tensors_are_the_same(tiny_gguf: Path) -> None:
    whole, short = read_gguf(tiny_gguf), read_gguf(tiny_gguf, with_arrays=False)
    assert short.tensors == whole.tensors
    assert short.metadata == {k: v for k, v in whole.metadata.items() if not isinstance(v, list)}
