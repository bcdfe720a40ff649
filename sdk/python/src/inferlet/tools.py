"""Python functions that a model may call."""

import inspect
import json
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Generic, NamedTuple, ParamSpec, TypeVar

from inferlet.errors import InferletError, InvalidArgument
from inferlet.schemas import Schema, convert_fields, object_schema, schema_of

P = ParamSpec("P")
R = TypeVar("R")

_ARGUMENT = re.compile(r"^\s*(?::param )?(\w+)(?: ?\([^)]*\))?: +(\S.*)$")
"""A line of a docstring that explains a parameter: `name: text`."""


class Tool(Generic[P, R]):
    """A function that a model may call; made by the decorator `tool`. It can still be called as it is.

    Attributes: `name`; `description` (the docstring without its lines about parameters); `parameters` (the
    JSON schema of its arguments).
    """

    def __init__(self, function: Callable[P, R]) -> None:
        self.function = function
        self.name: str = function.__name__
        signature = inspect.signature(function, eval_str=True)
        about, described = _read_docstring(inspect.getdoc(function) or "")
        self.description = about
        self._kinds: dict[str, Any] = {}
        self._required: list[str] = []
        properties: dict[str, Schema] = {}
        for parameter in signature.parameters.values():
            kind = _kind_of(self.name, parameter)
            self._kinds[parameter.name] = kind
            properties[parameter.name] = schema_of(kind)
            if parameter.name in described:
                properties[parameter.name]["description"] = described[parameter.name]
            if parameter.default is parameter.empty:
                self._required.append(parameter.name)
        self.parameters: Schema = object_schema(properties, self._required)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        return self.function(*args, **kwargs)

    def __repr__(self) -> str:
        return f"Tool({self.name!r})"

    @property
    def schema(self) -> Schema:
        """What chat templates want to see of it."""
        shown = {"name": self.name, "description": self.description, "parameters": self.parameters}
        return {"type": "function", "function": shown}

    async def run(self, arguments: Any) -> Any:
        """Calls it with a JSON object of arguments. Raises `InvalidArgument` where they do not fit."""
        values = convert_fields(self._kinds, self._required, arguments, self.name)
        result: Any = self.function(**values)  # type: ignore[call-arg]
        return await result if inspect.isawaitable(result) else result


def tool(function: Callable[P, R]) -> Tool[P, R]:
    """Makes a function a tool: its signature and docstring become a JSON schema, a call that the model writes
    becomes a call of the function.

        @tool
        def weather(city: str, days: int = 1) -> str:
            \"\"\"What the weather will be.

            city: where
            days: how many days ahead
            \"\"\"
    """
    return Tool(function)


class ToolCall(NamedTuple):
    """A call that the model has written. It may name what does not exist: `run` says so then."""

    name: str
    arguments: Any
    tools: Sequence[Tool[..., Any]]

    async def run(self) -> str:
        """The result as text for the model: text as it is, other values as JSON.

        An error is text too, so that the model can try again; only errors of the server are raised.
        """
        try:
            for known in self.tools:
                if known.name == self.name:
                    return _as_text(await known.run(self.arguments))
            names = ", ".join(known.name for known in self.tools)
            raise InvalidArgument(f"there is no tool {self.name!r}; there are: {names}")
        except InvalidArgument as error:
            return f"Error: {error}"
        except InferletError:
            raise
        except Exception as error:
            return f"Error: {type(error).__name__}: {error}"


def call_schema(tools: Iterable[Tool[..., Any]]) -> Schema:
    """The JSON schema of a call of one of the tools: its name and its arguments."""
    calls = [
        object_schema({"name": {"const": each.name}, "arguments": each.parameters}, ["name", "arguments"])
        for each in tools
    ]
    return calls[0] if len(calls) == 1 else {"anyOf": calls}


def read_call(text: str, tools: Sequence[Tool[..., Any]]) -> ToolCall:
    """A call from its JSON text. Raises `InvalidArgument` if it is none."""
    try:
        found = json.loads(text)
        return ToolCall(found["name"], found.get("arguments", {}), tools)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise InvalidArgument(f"this is no call of a tool ({error}): {text!r}") from None


def _kind_of(name: str, parameter: inspect.Parameter) -> Any:
    if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD, parameter.POSITIONAL_ONLY):
        raise TypeError(f"{name} takes {parameter}: the parameters of a tool have names")
    if parameter.annotation is not parameter.empty:
        return parameter.annotation
    if parameter.default in (None, parameter.empty):
        raise TypeError(f"parameter {parameter.name!r} of {name} needs a type: the model must know it")
    return type(parameter.default)


def _read_docstring(text: str) -> tuple[str, dict[str, str]]:
    """What a function does, and what its parameters are."""
    about: list[str] = []
    described: dict[str, str] = {}
    for line in text.splitlines():
        found = _ARGUMENT.match(line)
        if found:
            described[found[1]] = found[2]
        elif line.strip() not in ("Args:", "Arguments:", "Parameters:"):
            about.append(line.strip())
    return " ".join(filter(None, about)), described


def _as_text(value: Any) -> str:
    if isinstance(value, str):
        return value
    try:
        return json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError):
        return str(value)
