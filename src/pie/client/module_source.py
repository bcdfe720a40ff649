"""A user's file as it can be sent: where things stand in it, found by parsing, never by running."""

import ast
import linecache
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import FunctionType

from pie.client.errors import CannotSend

Definition = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True)
class ModuleSource:
    """`imports`: bound name → (line, the import of that name alone). `assignments`: name → line."""

    filename: str
    lines: list[str]
    tree: ast.Module
    imports: dict[str, tuple[int, ast.stmt]] = field(default_factory=dict)
    assignments: dict[str, int] = field(default_factory=dict)

    def find(self, function: FunctionType) -> Definition:
        """The definition of `function`. Raises CannotSend if the file is not as it was when imported."""
        line, name = function.__code__.co_firstlineno, function.__code__.co_name
        for node in ast.walk(self.tree):
            if isinstance(node, Definition) and node.name == name and line in (node.lineno, first_line(node)):
                return node
        raise CannotSend(
            f"{name} is not on line {line} of {self.filename}: has the file changed since it was imported?"
        )


def first_line(node: Definition) -> int:
    """With the decorators."""
    return min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])


def read_module(function: FunctionType) -> ModuleSource:
    """Raises CannotSend where there is no file to read, as for what was typed at a prompt."""
    filename = function.__code__.co_filename
    linecache.checkcache(filename)
    lines = linecache.getlines(filename, function.__globals__)
    if not lines:
        raise CannotSend(
            f"the source of {function.__name__} is not available: was it typed at a prompt? Put it in a file"
        )
    try:
        tree = ast.parse("".join(lines), filename)
    except SyntaxError as error:
        raise CannotSend(f"{filename} does not parse any more: {error}") from None
    module = ModuleSource(filename, lines, tree)
    for statement in module_statements(tree.body):
        note_bindings(module, statement)
    return module


def module_statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Statements that run in the module's own scope, those within `if`, `try` and `with` too."""
    for statement in body:
        yield statement
        if isinstance(statement, ast.If | ast.Try | ast.With):
            for name in ("body", "orelse", "finalbody"):
                yield from module_statements(getattr(statement, name, []))
            for handler in getattr(statement, "handlers", []):
                yield from module_statements(handler.body)


def note_bindings(module: ModuleSource, statement: ast.stmt) -> None:
    match statement:
        case ast.Import(names=names):
            for alias in names:
                bound = alias.asname or alias.name.partition(".")[0]
                module.imports[bound] = (statement.lineno, ast.Import([alias]))
        case ast.ImportFrom(module=source, names=names, level=level):
            for alias in names:
                one = ast.ImportFrom(source, [alias], level)
                module.imports[alias.asname or alias.name] = (statement.lineno, one)
        case ast.Assign(targets=targets):
            for target in targets:
                if isinstance(target, ast.Name):
                    module.assignments[target.id] = statement.lineno
        case ast.AnnAssign(target=ast.Name(id=name)):
            module.assignments[name] = statement.lineno
