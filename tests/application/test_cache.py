"""Machine code is loaded only from files that are ours and undamaged."""

import logging
import os
import stat
from pathlib import Path

import pytest

from pie.application.cache import CompiledCache, keep, private_folder
from pie.application.engine import make_engine
from pie.core.errors import BadProgram, Unavailable
from pie.core.progress import NoProgress

COMPONENT = b"\0asm\x0d\0\1\0"
"""The smallest component there is: an empty one."""


@pytest.fixture
async def compiled(tmp_path: Path) -> CompiledCache:
    """A cache with one entry, "key"."""
    cache = CompiledCache(tmp_path / "compiled", make_engine(), seconds=60)
    source = tmp_path / "in.wasm"
    source.write_bytes(COMPONENT)
    await cache.compile(source, "key", "compiling", NoProgress())
    return cache


def code_file(tmp_path: Path) -> Path:
    return next((tmp_path / "compiled").glob("*.cwasm"))


async def test_what_was_compiled_is_loaded_and_nobody_else_may_look(
    compiled: CompiledCache, tmp_path: Path
) -> None:
    assert compiled.load("key") is not None
    assert compiled.load("other") is None
    assert stat.S_IMODE((tmp_path / "compiled").stat().st_mode) == 0o700


@pytest.mark.parametrize("damage", ["truncated", "flipped", "empty", "digest gone"])
async def test_a_damaged_file_is_not_loaded_but_warned_about(
    compiled: CompiledCache, tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = code_file(tmp_path)
    data = path.read_bytes()
    half = len(data) // 2
    if damage == "digest gone":
        path.with_suffix(".crc32").unlink()
    else:
        flipped = data[:half] + bytes([data[half] ^ 1]) + data[half + 1 :]
        path.write_bytes({"truncated": data[:half], "flipped": flipped, "empty": b""}[damage])
    with caplog.at_level(logging.WARNING):
        assert compiled.load("key") is None
    assert str(path) in caplog.text


async def test_what_is_no_component_does_not_compile(compiled: CompiledCache, tmp_path: Path) -> None:
    source = tmp_path / "bad.wasm"
    source.write_bytes(COMPONENT + b"rubbish")
    with pytest.raises(BadProgram, match="no component"):
        await compiled.compile(source, "bad", "compiling", NoProgress())
    assert compiled.load("bad") is None


def test_a_folder_that_cannot_be_made_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Unavailable, match="PIE_HOME"):
        private_folder(tmp_path / "file" / "compiled")


def test_only_the_newest_entries_are_kept(tmp_path: Path) -> None:
    folder = private_folder(tmp_path / "compiled")
    for number in range(3):
        made = tmp_path / "made"
        made.write_bytes(b"code")
        os.utime(made, (number, number))
        keep(made, folder / f"{number}.cwasm", folder / f"{number}.sha256", most=2)
    names = sorted(path.name for path in folder.iterdir())
    assert names == ["1.cwasm", "1.sha256", "2.cwasm", "2.sha256"]
