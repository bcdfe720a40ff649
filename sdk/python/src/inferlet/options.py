"""Command-line options of a program, made from the signature of its `main`."""

import argparse
import inspect
import types
from collections.abc import Callable, Sequence
from typing import Any, NoReturn, Union, get_args, get_origin

CONVERTERS = (str, int, float, bool)


class UsageError(Exception):
    """The options do not fit the program. The text says which there are; its last line says what is wrong."""


class HelpWanted(Exception):
    """`--help` was given; the text is the help."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{self.format_usage()}{self.prog}: {message}")

    def print_help(self, file: Any = None) -> NoReturn:  # noqa: ARG002
        raise HelpWanted(self.format_help())


def read_options(main: Callable[..., Any], args: Sequence[str], program: str) -> dict[str, Any]:
    """The keyword arguments for `main`, from a program's launch arguments.

    A parameter `max_tokens: int = 64` is the option `--max-tokens N`; one without a default is required.
    Raises `UsageError` or `HelpWanted`.
    """
    parameters = inspect.signature(main, eval_str=True).parameters.values()
    if not parameters and not args:
        return {}
    parser = _Parser(
        prog=program, description=inspect.getdoc(main), allow_abbrev=False,
        formatter_class=_format_help, **_PLAIN,
    )
    for parameter in parameters:
        _add_option(parser, parameter)
    values, unknown = parser.parse_known_args(args)
    if unknown:
        parser.error(f"unknown option {unknown[0]!r}")
    return vars(values)


def _format_help(prog: str) -> argparse.HelpFormatter:
    return argparse.RawDescriptionHelpFormatter(prog, width=100)


# Python 3.14 colours help; the text goes to a log.
_PLAIN: dict[str, Any] = {"color": False} if hasattr(argparse.ArgumentParser(), "color") else {}


def _add_option(parser: argparse.ArgumentParser, parameter: inspect.Parameter) -> None:
    if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
        raise UsageError(
            f"`main` takes {parameter}, which no option can fill: name its parameters, with defaults where "
            "they are not required"
        )
    flag = "--" + parameter.name.replace("_", "-")
    required = parameter.default is parameter.empty
    kind = _converter(parameter)
    about = _TYPE_NAMES[kind] + (", required" if required else _shown(parameter.default))
    default = argparse.SUPPRESS if required else parameter.default
    settings: dict[str, Any] = {"required": required, "default": default, "dest": parameter.name}
    settings["help"] = about.replace("%", "%%")
    if kind is bool:
        parser.add_argument(flag, action=argparse.BooleanOptionalAction, **settings)
    else:
        parser.add_argument(flag, type=kind, metavar=_METAVARS[kind], **settings)


_TYPE_NAMES: dict[type, str] = {str: "text", int: "whole number", float: "number", bool: "yes or no"}
_METAVARS: dict[type, str] = {str: "TEXT", int: "N", float: "X"}


def _shown(default: Any) -> str:
    return "" if default is None else f"; {default!r} if not given"


def _converter(parameter: inspect.Parameter) -> type:
    """str, int, float or bool; `X | None` counts as X, and a default tells where nothing is annotated."""
    annotation = parameter.annotation
    if annotation is parameter.empty:
        annotation = str if parameter.default in (None, parameter.empty) else type(parameter.default)
    if get_origin(annotation) in (Union, types.UnionType):
        annotation = next(kind for kind in get_args(annotation) if kind is not types.NoneType)
    if annotation in CONVERTERS:
        kind: type = annotation
        return kind
    raise UsageError(
        f"parameter `{parameter.name}` of `main` must be str, int, float or bool to be an option, "
        f"not {annotation!r}"
    )
