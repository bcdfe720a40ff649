"""Publishing pages under a name, and mapping those of others."""

import math
from collections.abc import Mapping
from types import MappingProxyType

from pie.control.addresses import AddressSpace
from pie.control.bounds import Bounds, Check
from pie.control.work import ExportWork
from pie.core.commands import Completion, ExportPages, ImportPages
from pie.core.errors import InvalidArgument


def export_pages(
    bounds: Bounds, space: AddressSpace, command: ExportPages, _: Completion | None
) -> ExportWork:
    """The name is taken by the call itself, the pages at its turn."""
    bounds.check_length("export_kvpage", command.pages)
    if not command.pages:
        raise InvalidArgument("export_kvpage: give at least one page")
    check_name(bounds, "export_kvpage", command.name)
    _check_lease(bounds, command.seconds)
    if len(command.about) > bounds.settings.max_about:
        raise InvalidArgument(
            f"export_kvpage: {len(command.about)} bytes in about: at most {bounds.settings.max_about}"
        )
    pages = space.pages.find(command.pages)
    size = len(pages) + len(command.about) // 4
    return ExportWork(size, pages, bounds.exports.of(space.tenant).reserve(space, command))


def check_name(bounds: Bounds, call: str, name: str) -> None:
    most = bounds.settings.max_export_name
    if not 0 < len(name) <= most:
        raise InvalidArgument(f"{call}: a name of {len(name)} characters: give 1 to {most}")


def _check_lease(bounds: Bounds, seconds: float | None) -> None:
    most = bounds.settings.max_lease_seconds
    if seconds is not None and not (math.isfinite(seconds) and 0 < seconds <= most):
        raise InvalidArgument(f"export_kvpage: a lease of {seconds} seconds: more than 0, at most {most:g}")


def import_pages(bounds: Bounds, space: AddressSpace, command: ImportPages, _: Completion | None) -> None:
    bounds.check_length("import_kvpage", command.pages)
    check_name(bounds, "import_kvpage", command.name)
    bounds.exports.of(space.tenant).map(space, command.name, command.pages)


CHECKS: Mapping[type, Check] = MappingProxyType({ExportPages: export_pages, ImportPages: import_pages})
