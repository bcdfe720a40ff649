"""Command-line options of a program, made from the signature of its `main`.

`argparse` writes the help and the complaints; the ordinary case is read without it, for a fresh sandbox pays
for every piece of library that it touches.
"""

import argparse
import inspect
import types
from collections.abc import Callable, Sequence
from typing import Any, NoReturn, Union, get_args, get_origin

TYPE_NAMES: dict[type, str] = {str: "text", int: "whole number", float: "number", bool: "yes or no"}
METAVARS: dict[type, str] = {str: "TEXT", int: "N", float: "X"}
PLAIN: dict[str, Any] = {"color": False} if hasattr(argparse.ArgumentParser(), "color") else {}
"""Python 3.14 would colour the help; it goes to logs and pipes."""


class UsageError(Exception):
    """The options do not fit the program. The text says which there are; its last line says what is wrong."""


class HelpWanted(Exception):
    """`--help` was given; the text is the help."""


def read_options(main: Callable[..., Any], args: Sequence[str], program: str) -> dict[str, Any]:
    """The keyword arguments for `main`, from a program's launch arguments.

    A parameter `max_tokens: int = 64` is the option `--max-tokens N`; one without a default is required.
    Raises `UsageError` or `HelpWanted`.
    """
    if not args and not _needs_options(main):
        return {}
    values = _read_plainly(main, args)
    return values if values is not None else _read_with_argparse(main, args, program)


def _needs_options(main: Callable[..., Any]) -> bool:
    """Whether `main` cannot be called without arguments."""
    code: types.CodeType | None = getattr(main, "__code__", None)
    if code is None or code.co_flags & (inspect.CO_VARARGS | inspect.CO_VARKEYWORDS):
        return True
    defaults = len(main.__defaults__ or ()) + len(main.__kwdefaults__ or ())
    return code.co_argcount + code.co_kwonlyargcount > defaults


def _read_plainly(main: Callable[..., Any], args: Sequence[str]) -> dict[str, Any] | None:
    """Pairs of `--name value` for annotated parameters; None if there is anything else."""
    if len(args) % 2 or _lacks_code(main):
        return None
    kinds = main.__annotations__
    values: dict[str, Any] = {}
    for flag, text in zip(args[::2], args[1::2], strict=True):
        name = flag[2:].replace("-", "_")
        kind = kinds.get(name)
        if not flag.startswith("--") or kind not in METAVARS or text.startswith("--"):
            return None
        try:
            values[name] = kind(text)
        except ValueError:
            return None
    return values if _is_complete(main, values) else None


def _lacks_code(main: Callable[..., Any]) -> bool:
    code: types.CodeType | None = getattr(main, "__code__", None)
    return code is None or bool(code.co_posonlyargcount)


def _is_complete(main: Callable[..., Any], values: dict[str, Any]) -> bool:
    """Whether the values fill all parameters that have no default, and no others than parameters."""
    code: types.CodeType = main.__code__
    names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    required = set(names[: code.co_argcount - len(main.__defaults__ or ())])
    required |= set(names[code.co_argcount :]) - set(main.__kwdefaults__ or ())
    return required <= values.keys() <= set(names)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{self.format_usage()}{self.prog}: {message}")

    def print_help(self, file: Any = None) -> NoReturn:  # noqa: ARG002
        raise HelpWanted(self.format_help())


def _read_with_argparse(main: Callable[..., Any], args: Sequence[str], program: str) -> dict[str, Any]:
    parser = _Parser(
        prog=program, description=inspect.getdoc(main), allow_abbrev=False, formatter_class=_format_help,
        **PLAIN,
    )
    for parameter in inspect.signature(main, eval_str=True).parameters.values():
        _add_option(parser, parameter)
    values, unknown = parser.parse_known_args(args)
    if unknown:
        parser.error(f"unknown option {unknown[0]!r}")
    return vars(values)


def _format_help(prog: str) -> argparse.HelpFormatter:
    return argparse.RawDescriptionHelpFormatter(prog, width=100)


def _add_option(parser: argparse.ArgumentParser, parameter: inspect.Parameter) -> None:
    if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
        raise UsageError(
            f"`main` takes {parameter}, which no option can fill: name its parameters, with defaults where "
            "they are not required"
        )
    flag = "--" + parameter.name.replace("_", "-")
    required = parameter.default is parameter.empty
    kind = _converter(parameter)
    about = TYPE_NAMES[kind] + (", required" if required else _shown(parameter.default))
    default = argparse.SUPPRESS if required else parameter.default
    settings: dict[str, Any] = {"required": required, "default": default, "dest": parameter.name}
    settings["help"] = about.replace("%", "%%")
    if kind is bool:
        parser.add_argument(flag, action=argparse.BooleanOptionalAction, **settings)
    else:
        parser.add_argument(flag, type=kind, metavar=METAVARS[kind], **settings)


def _shown(default: Any) -> str:
    return "" if default is None else f"; {default!r} if not given"


def _converter(parameter: inspect.Parameter) -> type:
    """str, int, float or bool; `X | None` counts as X, and a default tells where nothing is annotated."""
    annotation = parameter.annotation
    if annotation is parameter.empty:
        annotation = str if parameter.default in (None, parameter.empty) else type(parameter.default)
    if get_origin(annotation) in (Union, types.UnionType):
        annotation = next(kind for kind in get_args(annotation) if kind is not types.NoneType)
    if annotation in TYPE_NAMES:
        kind: type = annotation
        return kind
    raise UsageError(
        f"parameter `{parameter.name}` of `main` must be str, int, float or bool to be an option, "
        f"not {annotation!r}"
    )
