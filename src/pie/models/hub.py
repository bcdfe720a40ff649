"""Models of the Hugging Face hub: safetensors or GGUF and their JSON files, never pickled weights.

`huggingface_hub` loads its parts on first use, so naming it here costs a start nothing.
"""

import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import huggingface_hub

from pie.core.errors import BadModel, NotFound, PieError, Unavailable
from pie.core.progress import Progress, Step
from pie.models.disk import FULL, check_space, hash_file
from pie.models.hf_config import read_json
from pie.models.local import GGUF, INDEX, SINGLE, shard_names
from pie.models.names import name_from
from pie.models.sources import PICKLED, Fetched, HubSource, choose_gguf, pickled_problem
from pie.models.stored import describe_file

JSON_FILES = (
    "config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "chat_template.jinja",
)


@dataclass(frozen=True, slots=True)
class RemoteFile:
    name: str
    size_bytes: int
    sha256: str
    """Empty where the hub does not know it (small files)."""


@dataclass(frozen=True, slots=True)
class Repository:
    """What a repository held at one commit."""

    commit: str
    files: dict[str, RemoteFile]


def fetch_repository(
    source: HubSource, workspace: Path, progress: Progress, endpoint: str | None = None
) -> Fetched:
    """Downloads what is needed into `workspace`. `endpoint`: another hub than the configured one.

    Raises `Unavailable` without a network, `NotFound`, `InvalidArgument` (only pickled weights, or several
    GGUFs), `BadModel` for a download with the wrong SHA-256.
    """
    hub = Hub(source, workspace, progress, endpoint)
    repository = hub.look_up()
    by_file = source.file or not has_safetensors(repository)
    fetched = hub.fetch_gguf(repository) if by_file else hub.fetch_safetensors(repository)
    shutil.rmtree(workspace / ".cache", ignore_errors=True)
    return fetched


def has_safetensors(repository: Repository) -> bool:
    return any(name.endswith(".safetensors") and "/" not in name for name in repository.files)


class Hub:
    """Downloads into one workspace."""

    def __init__(self, source: HubSource, workspace: Path, progress: Progress, endpoint: str | None) -> None:
        self._source = source
        self._workspace = workspace
        self._progress = progress
        self._endpoint = endpoint

    def look_up(self) -> Repository:
        source = self._source
        with self._progress.start(f"Looking for {source.repository}"), calling_hub(source):
            info = huggingface_hub.HfApi(endpoint=self._endpoint).model_info(
                source.repository, revision=source.revision, files_metadata=True
            )
        return Repository(info.sha or "main", {file.name: file for file in remote_files(info)})

    def fetch_gguf(self, repository: Repository) -> Fetched:
        source = self._source
        names = sorted(name for name in repository.files if name.endswith(GGUF))
        if not names:
            raise nothing_to_load(source, repository)
        name = choose_gguf(f"hf:{source.repository}", names, source.file)
        digest = self._download(repository, name)
        path = self._workspace / name
        file = describe_file(path, digest, self._workspace)
        return Fetched(name_from(path.stem), "gguf", (file,), self._workspace, repository.commit[:12])

    def fetch_safetensors(self, repository: Repository) -> Fetched:
        for name in JSON_FILES:
            if name in repository.files:
                self._download(repository, name)
        names = self._shards(repository)
        check_space(self._workspace, sum(repository.files[name].size_bytes for name in names))
        digests = {name: self._download(repository, name) for name in names}
        files = tuple(
            describe_file(self._workspace / name, digest, self._workspace) for name, digest in digests.items()
        )
        name = name_from(self._source.repository.partition("/")[2])
        return Fetched(name, "safetensors", files, self._workspace, repository.commit[:12])

    def _shards(self, repository: Repository) -> list[str]:
        if SINGLE in repository.files:
            return [SINGLE]
        if INDEX not in repository.files:
            raise BadModel(f"hf:{self._source.repository} has neither {SINGLE} nor {INDEX}")
        self._download(repository, INDEX)
        index = self._workspace / INDEX
        return shard_names(index, read_json(index), repository.files)

    def _download(self, repository: Repository, name: str) -> str:
        """SHA-256 of the file, which lies in the workspace afterwards."""
        file = repository.files[name]
        check_space(self._workspace, file.size_bytes)
        label = f"Downloading {name}"
        with self._progress.start(label, file.size_bytes or None) as step, calling_hub(self._source):
            huggingface_hub.hf_hub_download(
                self._source.repository,
                name,
                revision=repository.commit,
                local_dir=self._workspace,
                endpoint=self._endpoint,
                tqdm_class=bar_of(step),
            )
        path = self._workspace / name
        with self._progress.start(f"Checking {name}", path.stat().st_size) as step:
            digest = hash_file(path, step)
        if file.sha256 and digest != file.sha256:
            raise BadModel(
                f"hf:{self._source.repository}: {name} arrived damaged (wrong SHA-256); pull it again"
            )
        return digest


def remote_files(info: Any) -> Iterable[RemoteFile]:
    for sibling in info.siblings or []:
        if ".." in sibling.rfilename or sibling.rfilename.startswith("/"):
            continue
        sha256 = sibling.lfs.sha256 if sibling.lfs else ""
        yield RemoteFile(sibling.rfilename, sibling.size or 0, sha256)


def bar_of(step: Step) -> type[Any]:
    """The hub wants a class of bars: one that draws nothing and moves ours."""

    class Bar(huggingface_hub.utils.tqdm):  # type: ignore[misc, name-defined]  # found at run time
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **{**options, "disable": True})

        def update(self, n: float | None = 1) -> None:
            step.advance(int(n or 0))

    return Bar


def nothing_to_load(source: HubSource, repository: Repository) -> PieError:
    pickled = sorted(name for name in repository.files if Path(name).suffix in PICKLED)
    if pickled:
        return pickled_problem(f"hf:{source.repository}", pickled[0])
    return BadModel(f"hf:{source.repository} holds no safetensors and no GGUF file")


@contextmanager
def calling_hub(source: HubSource) -> Iterator[None]:
    """Tells the hub's errors in our words. Only calls of the hub belong inside: whatever else it raises
    comes from its HTTP library, which is another one from version to version."""
    try:
        yield
    except OSError as error:
        if error.errno in FULL:
            raise
        raise explain(error, source) from error
    except Exception as error:
        raise explain(error, source) from error


def explain(error: Exception, source: HubSource) -> PieError:
    errors, name = huggingface_hub.errors, f"hf:{source.repository}"
    if isinstance(error, errors.GatedRepoError):
        return Unavailable(
            f"{name} wants you to accept its terms first: do so on its page, then set HF_TOKEN"
        )
    if isinstance(error, errors.RepositoryNotFoundError):
        return NotFound(f"the hub has no {name} (or it is private: set HF_TOKEN)")
    if isinstance(error, errors.RevisionNotFoundError | errors.RemoteEntryNotFoundError):
        return NotFound(f"{name} has no revision {source.revision or 'main'!r}, or a file went away")
    if isinstance(error, errors.HFValidationError):
        return NotFound(f"{name} is not a name of a repository: {error}")
    reason = (str(error).splitlines() or [type(error).__name__])[0][:300]
    if isinstance(error, errors.HfHubHTTPError):
        return Unavailable(f"the hub could not serve {name}: {reason}")
    return Unavailable(
        f"no network: cannot reach the hub to fetch {name} ({reason}); check the connection, or pull files "
        f"that are on this machine: pie model pull FOLDER"
    )
