"""Components made of programs: `pie build`, and what `pie check` must know about a sandbox."""

from pie.application.building.bundle import Built, build
from pie.application.building.imports import Import, is_library_module, missing
from pie.application.building.project import Project, parse, read_project

__all__ = ["Built", "Import", "Project", "build", "is_library_module", "missing", "parse", "read_project"]
