"""Request bodies, read with a bound on size and on waiting."""

import asyncio
from typing import TypeVar

import msgspec
from starlette.requests import ClientDisconnect, Request

from pie.core.errors import InvalidArgument, LimitExceeded, Timeout
from pie.server.errors import UNDECODABLE, BadBody

T = TypeVar("T")


async def read_body(request: Request, limit: int, stall_seconds: float) -> bytes:
    """The whole body. Raises LimitExceeded (413) as soon as it is known to be longer than `limit` bytes,
    Timeout when no piece arrives for `stall_seconds`."""
    refuse_length(request.headers.get("content-length", "0"), limit)
    pieces = bytearray()
    stream = request.stream()
    try:
        while piece := await asyncio.wait_for(anext(stream, b""), stall_seconds):
            pieces += piece
            refuse_length(str(len(pieces)), limit)
    except TimeoutError:
        raise Timeout(f"the rest of the body did not arrive within {stall_seconds:g} s") from None
    except ClientDisconnect:
        raise InvalidArgument("the client left in the middle of the body") from None
    return bytes(pieces)


def refuse_length(length: str, limit: int) -> None:
    if not length.isdecimal() or int(length) > limit:
        raise LimitExceeded(f"the body is longer than {limit} bytes, the most this route takes")


async def read_json(request: Request, kind: type[T], limit: int, stall_seconds: float) -> T:
    """The body as a `kind`. Raises BadBody (400) naming the field that is wrong."""
    body = await read_body(request, limit, stall_seconds)
    try:
        return msgspec.json.decode(body, type=kind)
    except UNDECODABLE as error:
        raise BadBody(error) from None
