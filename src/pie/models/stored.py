"""A model in the store: what its folder holds, and the manifest that says so.

A folder is made complete under another name and then renamed, so one that exists is whole; later damage
is found by sizes when it is opened, and by checksums when it is asked for (`pie model show --verify`).
"""

import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import msgspec

from pie.core.errors import BadModel
from pie.core.model import ModelInfo
from pie.models.config import ModelConfig

MANIFEST = "manifest.json"
TOKENIZER = "tokenizer.json"
VOCABULARY = "vocabulary.msgpack"
LAYOUT = 1
"""Version of the folder's layout; another one means that the model must be pulled again."""
MOST_MANIFEST_BYTES = 16 << 20

Format = Literal["gguf", "safetensors"]


@dataclass(frozen=True, slots=True)
class WeightFile:
    """One file of weights. A relative path lies in the model's folder; an absolute one is the user's own
    file, used where it is, so its time of change counts too."""

    path: str
    size_bytes: int
    modified_ns: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Details:
    """What a model says about itself, beside its numbers."""

    description: str
    version: str
    license: str
    chat_template: str
    bos_token: int | None
    """Put before a text; None where the model wants none."""
    stop_tokens: tuple[int, ...]
    template_tokens: dict[str, str]
    """Texts of special tokens by the name that chat templates use: `bos_token`, `eos_token`, ..."""


class Manifest(msgspec.Struct):
    layout: int
    name: str
    source: str
    format: Format
    digest: str
    files: list[WeightFile]
    config: ModelConfig
    details: Details


@dataclass(frozen=True, slots=True)
class StoredModel:
    """A model that is ready to be loaded. `digest` (SHA-256 of the weights) names what is derived from it."""

    name: str
    folder: Path
    source: str
    format: Format
    digest: str
    files: tuple[WeightFile, ...]
    config: ModelConfig
    details: Details

    @property
    def size_bytes(self) -> int:
        return sum(file.size_bytes for file in self.files)

    @property
    def weight_paths(self) -> tuple[Path, ...]:
        return tuple(self.folder / file.path for file in self.files)

    @property
    def referenced(self) -> bool:
        """True where the weights are the user's own files, not copies."""
        return any(Path(file.path).is_absolute() for file in self.files)

    @property
    def tokenizer_path(self) -> Path:
        return self.folder / TOKENIZER

    @property
    def vocabulary_path(self) -> Path:
        return self.folder / VOCABULARY


def describe_file(path: Path, sha256: str, relative_to: Path | None = None) -> WeightFile:
    status = path.stat()
    shown = path.relative_to(relative_to) if relative_to else path.absolute()
    return WeightFile(str(shown), status.st_size, status.st_mtime_ns, sha256)


def write_manifest(folder: Path, manifest: Manifest) -> None:
    data = msgspec.json.format(msgspec.json.encode(manifest), indent=2)
    with (folder / MANIFEST).open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def open_model(folder: Path) -> StoredModel:
    """The model in `folder`. Raises `BadModel` that says what is damaged and what to do."""
    manifest = read_manifest(folder)
    model = StoredModel(
        manifest.name,
        folder,
        manifest.source,
        manifest.format,
        manifest.digest,
        tuple(manifest.files),
        manifest.config,
        manifest.details,
    )
    check_files(model)
    return model


def read_manifest(folder: Path) -> Manifest:
    path = folder / MANIFEST
    again = f"remove it with `pie model rm {folder.name}` and pull it again"
    try:
        if path.stat().st_size > MOST_MANIFEST_BYTES:
            raise BadModel(f"model {folder.name!r} is damaged: {path} is too long; {again}")
        manifest = msgspec.json.decode(path.read_bytes(), type=Manifest)
    except OSError as error:
        raise BadModel(f"model {folder.name!r} is damaged: {path}: {error.strerror}; {again}") from error
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise BadModel(f"model {folder.name!r} is damaged: {path}: {error}; {again}") from error
    if manifest.layout != LAYOUT:
        raise BadModel(f"model {folder.name!r} was stored by another version of Pie; {again}")
    return manifest


def check_files(model: StoredModel) -> None:
    for file, path in zip(model.files, model.weight_paths, strict=True):
        problem = find_problem(file, path)
        if problem:
            raise damaged(model, f"{path} {problem}")
    for path in (model.tokenizer_path, model.vocabulary_path):
        if not path.is_file():
            raise damaged(model, f"{path} is missing")


def find_problem(file: WeightFile, path: Path) -> str:
    try:
        status = path.stat()
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    if status.st_size != file.size_bytes:
        return f"has {status.st_size:,} bytes instead of {file.size_bytes:,}"
    if Path(file.path).is_absolute() and status.st_mtime_ns != file.modified_ns:
        return "has changed since it was pulled"
    return ""


def damaged(model: StoredModel, what: str) -> BadModel:
    return BadModel(f"model {model.name!r} is damaged: {what}; run `pie model pull {model.source}`")


def model_info(model: StoredModel, page_size: int) -> ModelInfo:
    """What the rooms above may know. `page_size` (tokens) is the driver's."""
    details = model.details
    return ModelInfo(
        name=model.name,
        description=details.description,
        version=details.version,
        license=details.license,
        chat_template=details.chat_template,
        context_length=model.config.context_length,
        vocabulary_size=model.config.vocabulary_size,
        page_size=page_size,
        stop_tokens=details.stop_tokens,
        bos_token=details.bos_token,
    )


def listing(model: StoredModel) -> dict[str, object]:
    """The model as plain values, for `--json`."""
    return {
        "name": model.name,
        "source": model.source,
        "format": model.format,
        "size_bytes": model.size_bytes,
        "digest": model.digest,
        "folder": str(model.folder),
        "files": [str(path) for path in model.weight_paths],
        "referenced": model.referenced,
        "config": asdict(model.config),
        "description": model.details.description,
        "version": model.details.version,
        "license": model.details.license,
        "has_chat_template": bool(model.details.chat_template),
    }
