"""Prepared weights: made once per model, then mapped into memory, shared by all drivers of the machine.

A folder `PIE_HOME/prepared/<key>/` holds `weights.bin` (fp32, laid out by `layout.py`) and `index.json`.
It is made complete under another name and then renamed. A folder whose size or checksum is wrong is made
again, with a warning.
"""

import logging
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec
import torch

from pie.core.errors import OutOfResources
from pie.core.progress import Progress
from pie.inference.layout import VERSION, Layout, arranged, plan_layout
from pie.inference.llama import LayerWeights, LlamaWeights
from pie.models import LlamaConfig, StoredModel, read_tensors

DATA = "weights.bin"
INDEX = "index.json"
NUMBER_BYTES = 4
log = logging.getLogger(__name__)


class Index(msgspec.Struct, forbid_unknown_fields=True):
    version: int
    digest: str
    size: int
    """Numbers in the file."""
    checksum: int


@dataclass(frozen=True, slots=True)
class PreparedWeights:
    """The cache in `folder` (`PIE_HOME/prepared`)."""

    folder: Path

    def load(self, model: StoredModel, config: LlamaConfig, progress: Progress) -> LlamaWeights:
        """Maps the weights of `model`, preparing them first where that is needed.

        Raises `OutOfResources` when the disk is full, `BadModel` for a model that cannot be read.
        """
        layout = plan_layout(config)
        place = self.folder / f"{model.digest[:32]}-fp32-v{VERSION}"
        flat = self._open(place, model, layout)
        if flat is None:
            self._prepare(place, model, layout, progress)
            flat = map_file(place / DATA, layout.size)
        return split(flat, layout, config)

    def _open(self, place: Path, model: StoredModel, layout: Layout) -> torch.Tensor | None:
        if not place.exists():
            return None
        try:
            return open_checked(place, model.digest, layout.size)
        except (OSError, ValueError, RuntimeError) as error:
            log.warning("prepared weights in %s are damaged (%s); making them again", place, error)
            shutil.rmtree(place, ignore_errors=True)
            return None

    def _prepare(self, place: Path, model: StoredModel, layout: Layout, progress: Progress) -> None:
        with out_of_space(place), unfinished(place) as folder:
            write_weights(folder / DATA, model, layout, progress)
            checksum = sum_of(map_file(folder / DATA, layout.size))
            index = Index(VERSION, model.digest, layout.size, checksum)
            (folder / INDEX).write_bytes(msgspec.json.encode(index))


@contextmanager
def out_of_space(place: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OutOfResources(
            f"cannot write the prepared weights to {place.parent}: {error.strerror}; "
            "free some space there or set PIE_HOME to another folder"
        ) from error


@contextmanager
def unfinished(place: Path) -> Iterator[Path]:
    """A folder that becomes `place` when all went well, and is removed otherwise."""
    place.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".making-", dir=place.parent, ignore_cleanup_errors=True) as name:
        folder = Path(name) / "ready"
        folder.mkdir()
        yield folder
        if not place.exists():  # another driver may have been faster
            folder.rename(place)


def write_weights(path: Path, model: StoredModel, layout: Layout, progress: Progress) -> None:
    total = layout.size * NUMBER_BYTES
    with path.open("wb") as file, progress.start(f"Preparing {model.name}", total) as step:
        os.posix_fallocate(file.fileno(), 0, total)
        for name, values in read_tensors(model):
            part = layout.parts[name]
            file.seek(part.start * NUMBER_BYTES)
            file.write(arranged(part, values).data)
            step.advance(part.size * NUMBER_BYTES)
        file.flush()
        os.fsync(file.fileno())


def open_checked(place: Path, digest: str, size: int) -> torch.Tensor:
    """Raises `ValueError` or `OSError` when something is wrong with the folder."""
    index = msgspec.json.decode((place / INDEX).read_bytes(), type=Index)
    if (index.version, index.digest, index.size) != (VERSION, digest, size):
        raise ValueError("its index does not fit the model")
    if (place / DATA).stat().st_size != size * NUMBER_BYTES:
        raise ValueError("the file has the wrong size")
    flat = map_file(place / DATA, size)
    if sum_of(flat) != index.checksum:
        raise ValueError("the checksum is wrong")
    return flat


def map_file(path: Path, size: int) -> torch.Tensor:
    """Memory that all processes share until somebody writes to it (nobody does)."""
    return torch.from_file(str(path), shared=False, size=size, dtype=torch.float32)


def sum_of(flat: torch.Tensor) -> int:
    """Sum of all 64-bit words, wrapping around: 30 ms for half a gigabyte, and every flipped bit shows."""
    return int(flat.view(torch.int64).sum())


def split(flat: torch.Tensor, layout: Layout, config: LlamaConfig) -> LlamaWeights:
    """Views of the regions."""

    def view(name: str) -> torch.Tensor:
        region = layout.regions[name]
        return flat[region.start : region.start + region.shape[0] * region.shape[1]].view(region.shape)

    def layer(index: int) -> LayerWeights:
        names = ("attention_norm", "qkv", "out", "mlp_norm", "gate_up", "down")
        return LayerWeights(*(view(f"{index}.{name}") for name in names))

    return LlamaWeights(
        embedding=view("embedding"),
        layers=[layer(index) for index in range(config.layers)],
        norm=view("norm"),
        head=view("embedding" if config.tied_embeddings else "head"),
    )
