"""Components made of programs: `pie build`, and what `pie check` must know about a sandbox."""

from pie.application.building.asks import Ask, asks
from pie.application.building.bundle import Built, build
from pie.application.building.imports import Import, imports, missing
from pie.application.building.metadata import dependencies
from pie.application.building.project import Project, parse, read_project

__all__ = [
    "Ask",
    "Built",
    "Import",
    "Project",
    "asks",
    "build",
    "dependencies",
    "imports",
    "missing",
    "parse",
    "read_project",
]
