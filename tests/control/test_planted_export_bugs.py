"""Bugs of exports, put in on purpose, are found by the random programs."""

from collections.abc import Callable
from typing import Any

import pytest
from random_programs import RandomPrograms

from pie.control.exports import Export, TenantExports
from pie.core.errors import InternalError

Patch = Callable[[pytest.MonkeyPatch], None]


def publish_without_holding(patch: pytest.MonkeyPatch) -> None:
    """The export knows the places, but does not count as one who holds them."""

    def publish(_: TenantExports, export: Export, pages: Any, __: float) -> None:
        export.leases = list(pages)

    patch.setattr(TenantExports, "publish", publish)


def publish_too_early(patch: pytest.MonkeyPatch) -> None:
    """At the call, not when the queue has reached it."""
    reserve = TenantExports.reserve

    def reserve_and_publish(self: TenantExports, space: Any, command: Any) -> Export:
        export = reserve(self, space, command)
        self.publish(export, space.pages.find(command.pages), 0.0)
        return export

    def nothing(self: TenantExports, export: Export, pages: Any, now: float) -> None:
        if not export.leases:
            publish(self, export, pages, now)

    publish = TenantExports.publish
    patch.setattr(TenantExports, "reserve", reserve_and_publish)
    patch.setattr(TenantExports, "publish", nothing)


def forget_to_give_back(patch: pytest.MonkeyPatch) -> None:
    def withdraw(self: TenantExports, export: Export) -> None:
        export.withdrawn = True
        self.names.pop(export.name, None)

    patch.setattr(TenantExports, "withdraw", withdraw)


def evict_what_has_not_expired(patch: pytest.MonkeyPatch) -> None:
    """Whenever somebody looks for one."""
    find = TenantExports.find

    def find_and_evict(self: TenantExports, name: str) -> Any:
        for export in list(self.names.values()):
            if export.seconds is not None and export.leases and export.name != name:
                self.withdraw(export)
        return find(self, name)

    patch.setattr(TenantExports, "find", find_and_evict)


def import_without_contents(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(TenantExports, "map", lambda _, space, __, pages: space.pages.add(pages))


BUGS: dict[str, Patch] = {
    "publish without holding": publish_without_holding,
    "publish too early": publish_too_early,
    "forget to give back": forget_to_give_back,
    "evict what has not expired": evict_what_has_not_expired,
    "import without contents": import_without_contents,
}


@pytest.mark.parametrize("bug", BUGS)
def test_the_bug_is_found(bug: str, monkeypatch: pytest.MonkeyPatch) -> None:
    BUGS[bug](monkeypatch)
    with pytest.raises((AssertionError, InternalError, KeyError)):
        for seed in range(300):
            RandomPrograms(seed).run(60)
