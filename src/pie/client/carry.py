"""A function and what it needs of its file → source text for the sandbox, every statement on its own line.

What is not needed becomes empty lines, so a traceback from the sandbox names the lines of the user's file.
"""

import ast
import builtins
import dis
import sys
from collections.abc import Iterator
from types import CodeType, FunctionType, ModuleType

from pie.client.errors import CannotSend
from pie.client.module_source import Definition, ModuleSource, first_line, read_module
from pie.client.values import why_not_json
from pie.core.programs import Source

READS = ("LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS")
WRITES = ("STORE_GLOBAL", "DELETE_GLOBAL")
BLOCK = "if True:"
SANDBOX_PACKAGES = frozenset({"inferlet", *sys.stdlib_module_names})


class Travelling:
    """Stands for a plain function of the user's, as the decorator's objects do."""

    def __init__(self, plain: FunctionType) -> None:
        self.plain = plain


def carry(function: FunctionType) -> Source:
    """Raises CannotSend that lists every name that cannot be carried, with its line."""
    parcel = Parcel(read_module(function), function.__globals__)
    parcel.add_function(function)
    if parcel.problems:
        listed = "".join(f"\n  {problem}" for problem in parcel.problems)
        raise CannotSend(f"{function.__name__} ({parcel.module.filename}) cannot be sent:{listed}")
    return parcel.source(function.__name__)


class Parcel:
    """Collects statements by line."""

    def __init__(self, module: ModuleSource, names: dict[str, object]) -> None:
        self.module = module
        self.problems: list[str] = []
        self._names = names
        self._statements: dict[int, list[str]] = {}
        self._seen: set[str] = set()
        for line, future in (module.imports[name] for name in module.imports):
            if isinstance(future, ast.ImportFrom) and future.module == "__future__":
                self._put(line, ast.unparse(future))

    def source(self, entry: str) -> Source:
        start = min(self._statements)
        lines = ["; ".join(self._statements.get(n, [])) for n in range(start, max(self._statements) + 1)]
        return Source("\n".join(lines) + "\n", self.module.filename, start, entry)

    def _put(self, line: int, text: str) -> None:
        """A line that begins a block is alone; what shares it moves up, where the user's own block begins."""
        there = self._statements.setdefault(line, [])
        if BLOCK in there and text != BLOCK:
            self._put(line - 1, text)
        elif text == BLOCK and there:
            self._statements[line - 1] = self._statements.get(line - 1, []) + there
            self._statements[line] = [BLOCK]
        else:
            there.append(text)

    def add_function(self, function: FunctionType) -> None:
        node = self.module.find(function)
        self._seen.add(function.__name__)
        self._put_definition(node)
        for name, line, writes in global_names(function.__code__):
            if writes:
                self.problems.append(f"line {line}: assigns the global {name!r}, which changes nothing here")
            else:
                self._need(name, line)
        for name, line in names_in([*node.args.defaults, *filter(None, node.args.kw_defaults)]):
            self._need(name, line)
        for name, _ in names_in(annotations(node)):
            self._carry_import(name)

    def _put_definition(self, node: Definition) -> None:
        """An indented definition stays as it is, under an `if True:` where its decorator stood."""
        if node.col_offset:
            self._put(max(1, min(first_line(node), node.lineno - 1)), "if True:")
        for line in range(node.lineno, (node.end_lineno or node.lineno) + 1):
            self._put(line, self.module.lines[line - 1].rstrip("\r\n"))

    def _need(self, name: str, line: int) -> None:
        if name in self._seen or (name.startswith("__") and name.endswith("__")):
            return
        self._seen.add(name)
        if name not in self._names:
            if not hasattr(builtins, name):
                self.problems.append(f"line {line}: {name!r} is not defined")
            return
        if not self._carry_import(name):
            self._carry_value(name, self._names[name], line)

    def _carry_import(self, name: str) -> bool:
        """False if `name` was not imported from something the sandbox has."""
        line, statement = self.module.imports.get(name, (0, None))
        if statement is None or not in_sandbox(statement):
            return False
        text = ast.unparse(statement)
        if text not in self._statements.get(line, []):
            self._put(line, text)
        return True

    def _carry_value(self, name: str, value: object, line: int) -> None:
        function = value.plain if isinstance(value, Travelling) else value
        if isinstance(function, FunctionType) and self._is_helper(name, function):
            self.add_function(function)
        elif why_not_json(value, name) is None:
            self._put(self.module.assignments.get(name, 1), f"{name} = {value!r}")
        else:
            self.problems.append(f"line {line}: {name!r} is {describe(value)}")

    def _is_helper(self, name: str, function: FunctionType) -> bool:
        """A top-level function of the same file under its own name, and not what a decorator made of one."""
        if hasattr(function, "__wrapped__"):
            return False
        same_file = function.__code__.co_filename == self.module.filename
        return same_file and function.__globals__ is self._names and function.__qualname__ == name


def in_sandbox(statement: ast.stmt) -> bool:
    match statement:
        case ast.Import(names=[alias]):
            return alias.name.partition(".")[0] in SANDBOX_PACKAGES
        case ast.ImportFrom(module=str(name), level=0):
            return name.partition(".")[0] in SANDBOX_PACKAGES
    return False


def global_names(code: CodeType) -> Iterator[tuple[str, int, bool]]:
    """(name, line, is it written?) for every global name used in the function or in what it defines."""
    own = {str(i.argval) for i in dis.get_instructions(code) if i.opname == "STORE_NAME"}
    for instruction in dis.get_instructions(code):
        line = (instruction.positions and instruction.positions.lineno) or code.co_firstlineno
        name = str(instruction.argval)
        if instruction.opname in WRITES:
            yield name, line, True
        elif instruction.opname in READS and name not in own:
            yield name, line, False
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from global_names(constant)


def annotations(node: Definition) -> list[ast.expr]:
    """Carried where they can be; the sandbox's Python never evaluates the others."""
    arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
    return [found for found in (*(a.annotation for a in arguments), node.returns) if found is not None]


def names_in(expressions: list[ast.expr]) -> Iterator[tuple[str, int]]:
    for expression in expressions:
        for node in ast.walk(expression):
            if isinstance(node, ast.Name):
                yield node.id, node.lineno


def describe(value: object) -> str:
    if isinstance(value, ModuleType):
        return f"the module {value.__name__}, which the sandbox does not have"
    if isinstance(value, type):
        return f"the class {value.__name__}: define it in the function, or import it from a standard module"
    if callable(value):
        return f"a {type(value).__name__} from elsewhere: only plain functions of the same file are carried"
    return f"a {type(value).__name__}: only JSON-like values are carried along; pass it as an argument"
