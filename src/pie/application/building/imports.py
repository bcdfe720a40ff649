"""What a program imports, and what of that a sandbox does not have."""

import ast
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from pie.data import sdk_folder

MODULES = Path(__file__).with_name("sandbox_modules.txt")
"""The standard library as the runner has it; written by `scripts/sandbox_modules.py`, held by a test."""
LIBRARY = "inferlet"


@dataclass(frozen=True, slots=True)
class Import:
    line: int
    module: str
    optional: bool = False
    """It stands in a `try` that expects an ImportError."""

    @property
    def root(self) -> str:
        return self.module.partition(".")[0]


@cache
def sandbox_modules() -> frozenset[str]:
    return frozenset(MODULES.read_text().split())


def imports(tree: ast.AST) -> list[Import]:
    """All absolute imports, in order of their lines."""
    return sorted(_walk(tree, False), key=lambda each: each.line)


def missing(found: Collection[Import], brought: Collection[str] = ()) -> list[Import]:
    """Those that a sandbox cannot satisfy. `brought`: modules that come with the program."""
    return [each for each in found if not each.optional and not _is_there(each.module, brought)]


def _is_there(module: str, brought: Collection[str]) -> bool:
    root = module.partition(".")[0]
    if root == LIBRARY:
        return is_library_module(module)
    return module in sandbox_modules() or module in brought or root in brought


def is_library_module(module: str) -> bool:
    """Whether the guest library has a module of this name."""
    path = sdk_folder().joinpath(*module.split("."))
    return path.is_dir() or path.with_suffix(".py").is_file()


def _walk(node: ast.AST, optional: bool) -> Iterator[Import]:
    if isinstance(node, ast.Import):
        yield from (Import(node.lineno, each.name, optional) for each in node.names)
    elif isinstance(node, ast.ImportFrom):
        if node.module and not node.level:
            yield Import(node.lineno, node.module, optional)
    elif isinstance(node, ast.If) and _is_type_checking(node.test):
        yield from _walk_all(node.orelse, optional)
    elif isinstance(node, ast.Try):
        yield from _walk_all(node.body, optional or any(map(_expects_import_error, node.handlers)))
        yield from _walk_all((*node.handlers, *node.orelse, *node.finalbody), optional)
    else:
        yield from _walk_all(ast.iter_child_nodes(node), optional)


def _walk_all(nodes: Iterable[ast.AST], optional: bool) -> Iterator[Import]:
    for node in nodes:
        yield from _walk(node, optional)


def _expects_import_error(handler: ast.ExceptHandler) -> bool:
    if handler.type is None:
        return True
    caught = {each.id for each in ast.walk(handler.type) if isinstance(each, ast.Name)}
    return bool(caught & {"ImportError", "ModuleNotFoundError", "Exception"})


def _is_type_checking(test: ast.expr) -> bool:
    return ast.unparse(test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING")
