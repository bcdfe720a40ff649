"""Other programs, launched by this one."""

from collections.abc import Iterable
from typing import Any, NamedTuple

from inferlet.checks import number, text, unsigned
from inferlet.futures import Future, Reading
from inferlet.host import bound
from inferlet.raw.calls import call


class Named(NamedTuple):
    """A standard inferlet, or an uploaded component by its SHA-256."""

    name: str


class Source(NamedTuple):
    """A Python program's text."""

    text: str


class Myself(NamedTuple):
    """This program once more, with other arguments."""


class Function(NamedTuple):
    """A function of this program, by name; its argument is JSON: `{"args": [...], "kwargs": {...}}`."""

    name: str


def spawn(program: Named | Source | Myself | Function, args: Iterable[str] = (), share: float = 0.5) -> int:
    """Launches a program; the result is its number among the children.

    share: the part (above 0, at most 1) of what is left of this program's quota that it may use.
    """
    listed = [text("args", arg) for arg in args]
    return call(bound.host.spawning.spawn, _program(program), listed, number("share", share))


def _program(program: Named | Source | Myself | Function) -> Any:
    host = bound.host.spawning
    match program:
        case Named(name):
            return host.Program_Named(text("name", name))
        case Source(source):
            return host.Program_Source(text("source", source))
        case Myself():
            return host.Program_Myself()
        case Function(name):
            return host.Program_Function(text("name", name))
    raise TypeError(f"program must be Named, Source, Myself or Function, not {program!r}")


def wait_child(child: int) -> Future[str]:
    """A child's result as text; its failure is the exception `ChildFailed`."""
    future = call(bound.host.spawning.wait_child, unsigned("child", child))
    return Reading(future, bound.host.futures.take_text)


def receive_from_child(child: int) -> Future[str]:
    """The next message that a child sends."""
    future = call(bound.host.spawning.receive_from_child, unsigned("child", child))
    return Reading(future, bound.host.futures.take_text)


def receive_blob_from_child(child: int) -> Future[bytes]:
    """The next binary message that a child sends."""
    future = call(bound.host.spawning.receive_blob_from_child, unsigned("child", child))
    return Reading(future, bound.host.futures.take_blob)


def send_to_child(child: int, msg: str) -> None:
    """A message that the child can `receive`."""
    call(bound.host.spawning.send_to_child, unsigned("child", child), text("msg", msg))


def send_blob_to_child(child: int, msg: bytes) -> None:
    """A binary message that the child can `receive_blob`."""
    call(bound.host.spawning.send_blob_to_child, unsigned("child", child), bytes(memoryview(msg)))


def cancel_child(child: int) -> None:
    """Ends a child at once; does nothing when it has ended."""
    call(bound.host.spawning.cancel_child, unsigned("child", child))
