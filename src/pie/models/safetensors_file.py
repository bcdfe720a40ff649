"""Reads the header of a safetensors file. Trusts nothing in it.

The `safetensors` package cannot hand bf16 to numpy, and we have no torch here; the format is eight bytes
of length, a JSON object and the numbers.
"""

from collections.abc import Collection
from pathlib import Path
from typing import Any

import msgspec

from pie.core.errors import BadModel
from pie.models.numbers import BF16, F16, F32, NumberFormat
from pie.models.tensor_file import TensorEntry, find_overlap

FORMATS: dict[str, NumberFormat] = {"F32": F32, "F16": F16, "BF16": BF16}
MOST_HEADER_BYTES = 100_000_000
MOST_DIMENSIONS = 8


class HeaderEntry(msgspec.Struct):
    dtype: str
    shape: list[int]
    data_offsets: tuple[int, int]


def read_safetensors(path: Path) -> dict[str, TensorEntry]:
    """The tensors of one file, by name. Raises `BadModel` for everything that is wrong with it."""
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if length > min(size - 8, MOST_HEADER_BYTES):
                raise BadModel(
                    f"{path}: not a sound safetensors file: its header would be {length:,} bytes long"
                )
            header = file.read(length)
    except OSError as error:
        raise BadModel(f"cannot read {path}: {error.strerror or error}") from error
    entries = {
        name: tensor_entry(path, name, raw, 8 + length, size)
        for name, raw in parse_header(path, header).items()
    }
    check_coverage(path, entries.values(), size - 8 - length)
    return entries


def check_coverage(path: Path, entries: Collection[TensorEntry], available: int) -> None:
    """As the format has it: every byte belongs to one tensor. (A name that stands twice leaves a hole.)"""
    problem = find_overlap(entries)
    unclaimed = available - sum(entry.size_bytes for entry in entries)
    if not problem and unclaimed:
        problem = f"{unclaimed:,} of its bytes belong to no tensor"
    if problem:
        raise BadModel(f"{path}: not a sound safetensors file: {problem}")


def parse_header(path: Path, header: bytes) -> dict[str, HeaderEntry]:
    try:
        raw: dict[str, Any] = msgspec.json.decode(header, type=dict[str, Any])
        raw.pop("__metadata__", None)
        return msgspec.convert(raw, dict[str, HeaderEntry])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise BadModel(f"{path}: not a sound safetensors file: {error}") from error


def tensor_entry(path: Path, name: str, raw: HeaderEntry, start: int, end: int) -> TensorEntry:
    problem = find_problem(raw, end - start)
    if problem:
        raise BadModel(f"{path}: not a sound safetensors file: tensor {name[:80]!r} {problem}")
    first, last = raw.data_offsets
    format = FORMATS.get(raw.dtype)
    format_name = raw.dtype[:40] if raw.dtype.isidentifier() else repr(raw.dtype[:40])
    return TensorEntry(path, name, tuple(raw.shape), format, format_name, start + first, last - first)


def find_problem(raw: HeaderEntry, available: int) -> str:
    first, last = raw.data_offsets
    if not 0 <= first <= last <= available:
        return "would reach past the end of the file (a broken download?)"
    if len(raw.shape) > MOST_DIMENSIONS or any(size < 0 for size in raw.shape):
        return f"has the impossible shape {raw.shape[: MOST_DIMENSIONS + 1]}"
    format = FORMATS.get(raw.dtype)
    if format and format.byte_count(tuple(raw.shape)) != last - first:
        return f"has {last - first:,} bytes, which do not fit its shape {raw.shape}"
    return ""
