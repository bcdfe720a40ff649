"""The user's own files: used where they are, never copied, and remembered by size and time of change."""

from collections.abc import Container
from pathlib import Path
from typing import Any

from pie.core.errors import BadModel
from pie.core.progress import Progress
from pie.models.disk import hash_file
from pie.models.hf_config import read_json
from pie.models.names import name_from
from pie.models.sources import PICKLED, Fetched, LocalSource, choose_gguf, pickled_problem
from pie.models.stored import describe_file

SINGLE = "model.safetensors"
INDEX = "model.safetensors.index.json"
GGUF = ".gguf"


def fetch_local(source: LocalSource, progress: Progress) -> Fetched:
    """Raises `BadModel` or `InvalidArgument` where the path holds nothing we can load."""
    try:
        return fetch_path(source.path, progress)
    except OSError as error:
        raise BadModel(f"cannot read {error.filename or source.path}: {error.strerror or error}") from error


def fetch_path(path: Path, progress: Progress) -> Fetched:
    if path.is_dir():
        return fetch_folder(path, progress)
    if path.suffix in PICKLED:
        raise pickled_problem(str(path.parent), path.name)
    if path.suffix == ".safetensors":
        raise BadModel(
            f"{path}: a safetensors file needs its config.json and tokenizer.json; pull the folder instead"
        )
    return fetch_gguf(path, progress)


def fetch_gguf(path: Path, progress: Progress) -> Fetched:
    check_regular(path)
    with path.open("rb") as file:
        if file.read(4) != b"GGUF":
            raise BadModel(f"{path} is not a GGUF file; give Pie one, or a folder with safetensors")
    return Fetched(name_from(path.stem), "gguf", (describe_file(path, hashed(path, progress)),), path.parent)


def check_regular(path: Path) -> None:
    """Opening a pipe would wait for ever, and a device may have no end."""
    if not path.is_file():
        raise BadModel(f"{path} is not a file")


def hashed(path: Path, progress: Progress) -> str:
    with progress.start(f"Checking {path.name}", path.stat().st_size) as step:
        return hash_file(path, step)


def fetch_folder(folder: Path, progress: Progress) -> Fetched:
    paths = weight_files(folder)
    if not paths:
        ggufs = sorted(path.name for path in folder.glob("*.gguf"))
        if not ggufs:
            raise nothing_to_load(folder)
        return fetch_gguf(folder / choose_gguf(str(folder), ggufs, ""), progress)
    for path in paths:
        check_regular(path)
    files = tuple(describe_file(path, hashed(path, progress)) for path in paths)
    return Fetched(name_from(folder.name), "safetensors", files, folder)


def nothing_to_load(folder: Path) -> Exception:
    pickled = sorted(path.name for path in folder.iterdir() if path.suffix in PICKLED)
    if pickled:
        return pickled_problem(str(folder), pickled[0])
    return BadModel(f"{folder} holds no safetensors and no GGUF file")


def weight_files(folder: Path) -> list[Path]:
    """The shards that the index names, or the one file; none where there are no safetensors."""
    index = folder / INDEX
    if index.exists():
        here = {path.name for path in folder.iterdir()}
        return [folder / name for name in shard_names(index, read_json(index), here)]
    return [folder / SINGLE] if (folder / SINGLE).exists() else []


def shard_names(index: Path, content: dict[str, Any], available: Container[str]) -> list[str]:
    """The files an index names. Raises `BadModel` where one is no plain file name, or not available."""
    places = content.get("weight_map")
    if not isinstance(places, dict) or not places:
        raise BadModel(f"{index} is damaged: it has no weight_map")
    names = sorted({str(name) for name in places.values()})
    for name in names:
        if Path(name).name != name or not name.endswith(".safetensors"):
            raise BadModel(f"{index}: {name[:80]!r} is not the name of a safetensors file beside it")
        if name not in available:
            raise BadModel(f"{index}: it names {name}, which is missing")
    return names
