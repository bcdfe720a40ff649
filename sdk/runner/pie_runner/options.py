"""A program's options, from the signature of its `main`.

    async def main(prompt: str, max_tokens: int = 64, verbose: bool = False)

takes `--prompt TEXT` (required), `--max-tokens N` and `--verbose` (or `--no-verbose`).
"""

import inspect
from collections.abc import Callable
from typing import Any


class BadOptions(Exception):
    """The arguments do not fit; the message says which are there."""


class Help(Exception):
    """`--help` was asked for; the message is the help."""


TRUE = ("1", "true", "yes", "on")
FALSE = ("0", "false", "no", "off")
VALUES = {int: "N", float: "X", str: "TEXT", bool: ""}


class Option:
    """One parameter of `main`."""

    def __init__(self, parameter: inspect.Parameter) -> None:
        self.name = parameter.name
        self.flag = "--" + parameter.name.replace("_", "-")
        self.required = parameter.default is parameter.empty
        self.default = parameter.default
        self.kind = self._kind(parameter)

    def _kind(self, parameter: inspect.Parameter) -> type:
        kinds = [kind for kind in VALUES if _means(parameter.annotation, kind)]
        if kinds:
            return kinds[0]
        known = type(parameter.default)
        return known if known in VALUES else str

    def convert(self, text: str) -> Any:
        if self.kind is bool:
            return self._convert_bool(text)
        try:
            return self.kind(text)
        except ValueError:
            raise BadOptions(f"{self.flag} takes {_article(self.kind)}, not {text!r}") from None

    def _convert_bool(self, text: str) -> bool:
        if text.lower() in TRUE + FALSE:
            return text.lower() in TRUE
        raise BadOptions(f"{self.flag} is true or false, not {text!r}")

    def __str__(self) -> str:
        shown = f"{self.flag} {VALUES[self.kind]}".rstrip()
        return f"{shown} (required)" if self.required else f"{shown} (default: {self.default!r})"


def _means(annotation: Any, kind: type) -> bool:
    """Whether an annotation is this type, or this type or None, as an object or as text."""
    text = annotation if isinstance(annotation, str) else getattr(annotation, "__name__", str(annotation))
    return kind.__name__ in text.replace(" ", "").split("|")


def _article(kind: type) -> str:
    return {int: "a whole number", float: "a number"}.get(kind, "text")


def parse(main: Callable[..., Any], arguments: list[str]) -> dict[str, Any]:
    """Keyword arguments for `main`. Raises `BadOptions` or `Help`."""
    options = _options(main)
    if "--help" in arguments or "-h" in arguments:
        raise Help(_help(main, options))
    given = _collect(options, arguments)
    missing = [option.flag for option in options.values() if option.required and option.name not in given]
    if missing:
        raise BadOptions(f"{', '.join(missing)} must be given. {_list(options)}")
    return given


def _options(main: Callable[..., Any]) -> dict[str, Option]:
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    found = [Option(each) for each in inspect.signature(main).parameters.values() if each.kind in named]
    return {option.flag: option for option in found}


def _collect(options: dict[str, Option], arguments: list[str]) -> dict[str, Any]:
    given: dict[str, Any] = {}
    rest = iter(arguments)
    for argument in rest:
        flag, equals, value = argument.partition("=")
        option = _find(options, flag)
        if option.kind is bool and not equals:
            given[option.name] = flag == option.flag
            continue
        text = value if equals else next(rest, None)
        if text is None:
            raise BadOptions(f"{flag} needs a value")
        given[option.name] = option.convert(text)
    return given


def _find(options: dict[str, Option], flag: str) -> Option:
    found = options.get(flag)
    if found is None and flag.startswith("--no-"):
        negated = options.get("--" + flag.removeprefix("--no-"))
        found = negated if negated is not None and negated.kind is bool else None
    if found is None:
        what = f"there is no option {flag}" if flag.startswith("-") else f"unexpected argument {flag!r}"
        raise BadOptions(f"{what}. {_list(options)}")
    return found


def _list(options: dict[str, Option]) -> str:
    if not options:
        return "This program takes no options."
    return "Its options: " + ", ".join(map(str, options.values()))


def _help(main: Callable[..., Any], options: dict[str, Option]) -> str:
    about = [inspect.getdoc(main)] if main.__doc__ else []
    lines = [f"  {option}" for option in options.values()] or ["  none"]
    return "\n\n".join([*about, "\n".join(["Options:", *lines])])
