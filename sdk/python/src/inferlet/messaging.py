"""Talking to the client that launched the program."""

from inferlet import raw
from inferlet.raw import get_arg, send, send_blob

__all__ = ["get_arg", "log", "receive", "receive_blob", "send", "send_blob"]


async def receive() -> str:
    """The next text message from the client."""
    return await raw.receive()


async def receive_blob() -> bytes:
    """The next binary message from the client."""
    return await raw.receive_blob()


def log(*values: object) -> None:
    """A line for the program's log, which `print` writes to as well."""
    raw.log(" ".join(map(str, values)) + "\n")
