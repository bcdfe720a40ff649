"""Prepared weights: made once per model and form, then mapped into memory, shared by a machine's drivers.

A folder `PIE_HOME/prepared/<key>/` holds `weights.bin` (laid out by `layout.py`, filled by `forms.py`) and
`index.json`. It is made complete under another name and then renamed. A folder whose size or checksum is
wrong is made again, with a warning.
"""

import logging
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from pie.core.errors import OutOfResources
from pie.core.progress import Progress
from pie.inference.forms import Checkpoint, Form
from pie.inference.layout import VERSION, Layout, Parts, lay_out, tensors_of
from pie.models import ModelConfig, StoredModel, open_weights

DATA = "weights.bin"
INDEX = "index.json"
log = logging.getLogger(__name__)

Flat = NDArray[np.uint8]
Tensors = Mapping[str, NDArray[Any]]
"""Views of a prepared file, by the names that its form gave."""


class Index(msgspec.Struct, forbid_unknown_fields=True):
    version: int
    digest: str
    size: int
    """Bytes of the file."""
    checksum: int


@dataclass(frozen=True, slots=True)
class PreparedWeights:
    """The cache in `folder` (`PIE_HOME/prepared`)."""

    folder: Path

    def load(self, model: StoredModel, config: ModelConfig, form: Form, progress: Progress) -> Tensors:
        """Maps the weights of `model`, preparing them first where that is needed.

        Raises `OutOfResources` when the disk is full, `BadModel` for a model that cannot be read.
        """
        layout = plan_layout(config, form)
        place = self.folder / folder_name(model, form)
        flat = self._open(place, model, layout)
        if flat is None:
            self._prepare(place, model, config, form, progress)
            flat = map_file(place / DATA, layout.size)
        return split(flat, layout)

    def _open(self, place: Path, model: StoredModel, layout: Layout) -> Flat | None:
        if not place.exists():
            return None
        try:
            return open_checked(place, model.digest, layout.size)
        except (OSError, ValueError, RuntimeError) as error:
            log.warning("prepared weights in %s are damaged (%s); making them again", place, error)
            shutil.rmtree(place, ignore_errors=True)
            return None

    def _prepare(
        self, place: Path, model: StoredModel, config: ModelConfig, form: Form, progress: Progress
    ) -> None:
        layout = plan_layout(config, form)
        with out_of_space(place), unfinished(place) as folder:
            write_weights(folder / DATA, model, config, form, progress)
            index = Index(VERSION, model.digest, layout.size, sum_of(folder / DATA, layout.size))
            (folder / INDEX).write_bytes(msgspec.json.encode(index))


def folder_name(model: StoredModel, form: Form) -> str:
    return f"{model.digest[:32]}-{form.name}-v{VERSION}"


def plan_layout(config: ModelConfig, form: Form) -> Layout:
    parts: Parts = {}
    for tensor in tensors_of(config):
        parts.update(form.parts(tensor))
    return lay_out(parts)


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


def write_weights(
    path: Path, model: StoredModel, config: ModelConfig, form: Form, progress: Progress
) -> None:
    layout = plan_layout(config, form)
    checkpoint = Checkpoint(open_weights(model))
    label = f"Preparing {model.name} ({form.name})"
    with path.open("wb") as file, progress.start(label, layout.size) as step:
        os.posix_fallocate(file.fileno(), 0, layout.size)
        for tensor in tensors_of(config):
            if not form.parts(tensor):
                continue
            for name, values in form.arrays(tensor, checkpoint).items():
                region = layout.regions[name]
                file.seek(region.start)
                file.write(np.ascontiguousarray(values, region.dtype).reshape(region.shape).data)
                step.advance(region.size)
        file.flush()
        os.fsync(file.fileno())


def open_checked(place: Path, digest: str, size: int) -> Flat:
    """Raises `ValueError` or `OSError` when something is wrong with the folder."""
    index = msgspec.json.decode((place / INDEX).read_bytes(), type=Index)
    if (index.version, index.digest, index.size) != (VERSION, digest, size):
        raise ValueError("its index does not fit the model")
    if (place / DATA).stat().st_size != size:
        raise ValueError("the file has the wrong size")
    if sum_of(place / DATA, size) != index.checksum:
        raise ValueError("the checksum is wrong")
    return map_file(place / DATA, size)


def map_file(path: Path, size: int) -> Flat:
    """Bytes that all processes share until somebody writes to them (nobody does)."""
    return np.memmap(path, np.uint8, "c", shape=(size,)).view(np.ndarray)


def sum_of(path: Path, size: int) -> int:
    """Sum of all 64-bit words, wrapping around: 30 ms for half a gigabyte, and every flipped bit shows.

    Over a mapping of its own: what is read here counts as memory of this process only until it is let go.
    """
    return int(map_file(path, size).view(np.int64).sum())


def split(flat: Flat, layout: Layout) -> dict[str, NDArray[Any]]:
    """Views of the regions."""
    return {
        name: flat[region.start : region.start + region.size].view(region.dtype).reshape(region.shape)
        for name, region in layout.regions.items()
    }
