"""A plain Python function as a program: what is sent of it, and its arguments."""

import ast
import functools
import inspect
import json
from collections.abc import Callable
from types import FunctionType
from typing import Any, cast

from pie.client.carry import Travelling, carry
from pie.client.errors import CannotSend
from pie.client.module_source import Definition, read_module
from pie.client.values import first, why_not_json
from pie.core.programs import Source


class Function(Travelling):
    """Raises CannotSend for what can never travel."""

    __name__: str

    def __init__(self, function: object) -> None:
        plain = require_plain_function(function)
        refuse_other_decorators(plain, read_module(plain).find(plain))
        super().__init__(plain)
        functools.update_wrapper(cast(Callable[..., Any], self), plain)
        self._signature = inspect.signature(plain)

    def source(self) -> Source:
        """What is sent: the function and what it needs of its file. Raises CannotSend."""
        return carry(self.plain)

    def arguments(self, *args: Any, **kwargs: Any) -> str:
        """The arguments as JSON. Raises TypeError as a call would, CannotSend for what is not JSON-like."""
        bound = self._signature.bind(*args, **kwargs).arguments
        if problem := first(why_not_json(value, f"argument {name}") for name, value in bound.items()):
            raise CannotSend(f"{self.__name__}: {problem}; arguments travel as JSON")
        return json.dumps({"args": args, "kwargs": kwargs})


def as_function(function: Callable[..., Any]) -> Function:
    return function if isinstance(function, Function) else Function(function)


def require_plain_function(function: object) -> FunctionType:
    name = getattr(function, "__qualname__", repr(function))
    if not isinstance(function, FunctionType):
        raise CannotSend(f"{name} is a {type(function).__name__}: only plain functions can be sent")
    if function.__name__ == "<lambda>":
        raise CannotSend("a lambda cannot be sent: write it as a function with `def`")
    if "." in function.__qualname__.rpartition("<locals>.")[2]:
        raise CannotSend(f"{name} is a method: only plain functions can be sent")
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise CannotSend(f"{name} is a generator: send pieces with `inferlet.send` instead of `yield`")
    if function.__code__.co_freevars:
        used = ", ".join(function.__code__.co_freevars)
        line = function.__code__.co_firstlineno
        raise CannotSend(
            f"{name} (line {line}) uses {used} of the function around it: pass that as an argument instead"
        )
    return function


def refuse_other_decorators(function: FunctionType, node: Definition) -> None:
    for decorator in node.decorator_list:
        if not is_ours(decorator, function):
            raise CannotSend(
                f"{function.__name__} has another decorator on line {decorator.lineno}: "
                "only `@inferlet` is understood"
            )


def is_ours(decorator: ast.expr, function: FunctionType) -> bool:
    """By name: `@inferlet`, `@client.inferlet`, or what it was imported as."""
    match decorator:
        case ast.Name(id=name):
            return getattr(function.__globals__.get(name), "__module__", "") == "pie.client.decorator"
        case ast.Attribute(attr=name):
            return name == "inferlet"
    return False
