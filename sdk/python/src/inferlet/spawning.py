"""Programs that launch programs, with a share of what they have left.

    from inferlet import spawn

    def count(text: str) -> int:
        return len(text.split())

    async def main():
        first, second = spawn(count, "to be"), spawn(count, "or not to be")
        return await first + await second

What can be spawned: a function of this program (its arguments and result are JSON), a standard inferlet by
name, an uploaded component by its SHA-256, a program's text (anything with a line break), or `myself`. A
child has a sandbox of its own and ends with this program at the latest.
"""

import json
import sys
from collections.abc import Callable, Generator
from typing import Any, Final, Self

from inferlet import raw
from inferlet.errors import Cancelled
from inferlet.runner import MODULE_NAME

__all__ = ["Child", "myself", "spawn"]

myself: Final = raw.Myself()
"""This program once more, with other options."""

Program = Callable[..., Any] | str | raw.Myself


class Child:
    """A program that this one has spawned. `await` it for its result, iterate it for its messages."""

    def __init__(self, number: int, name: str, read: Callable[[str], Any]) -> None:
        self.number = number
        self.name = name
        self._read = read

    def __await__(self) -> Generator[Any, None, Any]:
        return self.wait().__await__()

    async def wait(self) -> Any:
        """Its result: a function's value, else text. Raises `ChildFailed` with the child's own words."""
        return self._read(await raw.wait_child(self.number))

    async def receive(self) -> str:
        """Its next text message. Raises `Cancelled` when it has ended and there is none any more."""
        return await raw.receive_from_child(self.number)

    async def receive_blob(self) -> bytes:
        """Its next binary message."""
        return await raw.receive_blob_from_child(self.number)

    def send(self, message: str | bytes) -> None:
        """A message that it can `receive`, or `receive_blob`."""
        if isinstance(message, str):
            raw.send_to_child(self.number, message)
        else:
            raw.send_blob_to_child(self.number, message)

    def cancel(self) -> None:
        """Ends it at once; does nothing when it has ended."""
        raw.cancel_child(self.number)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> str:
        try:
            return await self.receive()
        except Cancelled:
            raise StopAsyncIteration from None

    def __repr__(self) -> str:
        return f"<child {self.number}: {self.name}>"


def spawn(program: Program, *args: Any, share: float = 0.5, **options: Any) -> Child:
    """Launches a program and returns at once.

    A function gets `args` and `options` as they are. All others are launched as on a command line:
    `spawn("text-completion", prompt="Once", max_tokens=8)`, or the words themselves as `args`.

    share: the part (above 0, at most 1) of the processor time, life time, pages and calls that this program
    has left, as the child's limits. Raises `LimitExceeded` where too many are alive or too little is left.
    """
    if callable(program):
        return _spawn_function(program, args, options, share)
    words = [str(arg) for arg in args] + _as_options(options)
    return Child(raw.spawn(_named(program), words, share), _name(program), str)


def _spawn_function(function: Callable[..., Any], args: Any, kwargs: Any, share: float) -> Child:
    name = getattr(function, "__name__", "")
    if getattr(sys.modules.get(MODULE_NAME), name, None) is not function:
        raise TypeError(f"{function!r} is no function at the top of this program: only those can be spawned")
    try:
        call = json.dumps({"args": args, "kwargs": kwargs}, ensure_ascii=False)
    except (TypeError, ValueError) as failure:
        raise TypeError(f"an argument for {name} cannot be carried by JSON: {failure}") from None
    return Child(raw.spawn(raw.Function(name), [call], share), name, json.loads)


def _named(program: str | raw.Myself) -> raw.Named | raw.Source | raw.Myself:
    if isinstance(program, raw.Myself):
        return program
    if not isinstance(program, str):
        raise TypeError(f"spawn takes a function, a name, a program's text or myself, not {program!r}")
    return raw.Source(program) if "\n" in program else raw.Named(program)


def _name(program: str | raw.Myself) -> str:
    if isinstance(program, raw.Myself):
        return "myself"
    return "source" if "\n" in program else program


def _as_options(options: dict[str, Any]) -> list[str]:
    """`max_tokens=8` is `--max-tokens 8`; True and False are `--name` and `--no-name`, None is left out."""
    words: list[str] = []
    for name, value in options.items():
        flag = name.replace("_", "-")
        if isinstance(value, bool):
            words.append(f"--{flag}" if value else f"--no-{flag}")
        elif value is not None:
            words += [f"--{flag}", str(value)]
    return words
