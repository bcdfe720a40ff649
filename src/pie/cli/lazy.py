"""Verbs that are imported when they are chosen.

`pie --help` and a mistyped verb answer in a tenth of a second; importing every verb would bring in the
sandbox, the web server and numpy first, which takes more than one second. So the group knows names and
one-line helps, and a verb's module is imported by name when its turn comes.
"""

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup


@dataclass(frozen=True, slots=True)
class Verb:
    """`module` has a `typer.Typer` called `app`."""

    module: str
    help: str


class LazyVerb(TyperCommand):
    """Stands for a verb in listings; at the first real use, the real command takes over."""

    def __init__(self, name: str, verb: Verb) -> None:
        super().__init__(name, help=verb.help)
        self._module = verb.module

    def make_context(self, info_name: Any, args: list[str], parent: Any = None, **extra: Any) -> Any:
        real = typer.main.get_command(importlib.import_module(self._module).app)
        return real.make_context(info_name, args, parent, **extra)


def lazy_group(verbs: Mapping[str, Verb]) -> type[TyperGroup]:
    """A group class with these verbs, in this order."""

    class LazyGroup(TyperGroup):
        def __init__(self, **attributes: Any) -> None:
            attributes["commands"] = {name: LazyVerb(name, verb) for name, verb in verbs.items()}
            super().__init__(**attributes)

    return LazyGroup
