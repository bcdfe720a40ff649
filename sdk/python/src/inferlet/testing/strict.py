"""What crosses the sandbox's wall must have exactly the types of the contract: anything else ends a real
program at once, without a line number. So the fake refuses it too."""

from typing import Any


class Strict:
    """An interface whose calls refuse sequences that are no lists; records are named tuples."""

    def __init__(self, interface: Any) -> None:
        self._interface = interface

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._interface, name)
        if not callable(found) or isinstance(found, type):
            return found

        def call(*arguments: Any) -> Any:
            for number, argument in enumerate(arguments):
                check(argument, f"argument {number} of {name}")
            return found(*arguments)

        return call


def check(value: Any, where: str) -> None:
    """Raises `TypeError` for what could not cross."""
    fields = getattr(type(value), "_fields", None)
    if fields is not None:
        for name in fields:
            check(getattr(value, name), f"{name} of {where}")
    elif type(value) is list:
        for item in value[:1]:
            check(item, where)
    elif isinstance(value, tuple | range | set | frozenset | dict | bytearray | memoryview):
        raise TypeError(f"{where} is no list: {value!r}")
