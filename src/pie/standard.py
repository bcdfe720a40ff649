"""The standard inferlets: programs that come with Pie, each in a folder of its own."""

from pathlib import Path

from pie.core.errors import NotFound
from pie.core.programs import Source
from pie.data import inferlets_folder


def program_file(folder: Path) -> Path:
    """The program in a standard inferlet's folder: `text_completion.py` in `text-completion`."""
    return folder / (folder.name.replace("-", "_") + ".py")


def standard_names() -> list[str]:
    return sorted(folder.name for folder in inferlets_folder().iterdir() if program_file(folder).is_file())


def standard_source(name: str) -> Source:
    """Raises `NotFound`, which lists what there is."""
    if name not in standard_names():
        raise NotFound(f"no standard inferlet is called {name!r}; there are: {', '.join(standard_names())}")
    path = program_file(inferlets_folder() / name)
    return Source(path.read_text(encoding="utf-8"), filename=path.name)
