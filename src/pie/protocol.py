"""What client and server say to each other: bodies over HTTP, frames over the WebSocket `/v1/session`.

Each WebSocket message is a msgpack array of frames; what is ready at the same moment travels together.
A client names each of its launches by a number of its own choice, `ref`, unique within the socket.

    client                                       server
    {"op": "launch", "ref": 1, "source": ...} →
                                               ← {"event": "started", "ref": 1, "id": "i-..."}
                                               ← {"event": "message", "ref": 1, "text": ...}   any number
    {"op": "message", "ref": 1, "text": ...}  →                                               any time
                                               ← {"event": "finished", "ref": 1, "result": ...}  or "failed"

`{"event": "error"}` answers an operation that the server refused; before `started` it is the launch.
This module is data and holds no decisions; both sides import it and neither imports the other.
"""

from typing import Annotated, Any

from msgspec import Meta, Struct

SUBPROTOCOL = "pie.session.v1"
"""Offered by clients in the WebSocket handshake; a server that does not know it is of another version."""

SESSION_PATH = "/v1/session"
DEFAULT_URL = "http://127.0.0.1:8642"

Name = Annotated[str, Meta(min_length=1, max_length=4096)]
Ref = Annotated[int, Meta(ge=0, lt=1 << 53)]


class LimitsBody(Struct, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """What a launch asks for instead of the server's own limits; never more than those."""

    memory_bytes: Annotated[int, Meta(ge=1)] | None = None
    cpu_seconds: Annotated[float, Meta(gt=0)] | None = None
    wall_seconds: Annotated[float, Meta(gt=0)] | None = None
    wait_seconds: Annotated[float, Meta(ge=0)] | None = None
    calls_in_flight: Annotated[int, Meta(ge=1)] | None = None
    message_bytes: Annotated[int, Meta(ge=1)] | None = None
    pages: Annotated[int, Meta(ge=1)] | None = None
    children: Annotated[int, Meta(ge=0)] | None = None
    tokens: Annotated[float, Meta(ge=0)] | None = None
    compute_ms: Annotated[float, Meta(ge=0)] | None = None
    page_seconds: Annotated[float, Meta(ge=0)] | None = None
    host_calls: Annotated[float, Meta(ge=0)] | None = None
    bytes_out: Annotated[float, Meta(ge=0)] | None = None
    hosts: Annotated[list[Name], Meta(max_length=256)] | None = None
    """Those of the server's allowed hosts that it may talk to, as patterns."""


class LaunchBody(Struct, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Either `program` (a standard inferlet's name, or the SHA-256 of an uploaded component) or `source`."""

    program: Name | None = None
    source: str | None = None
    filename: Name = "inferlet.py"
    first_line: Annotated[int, Meta(ge=1, lt=1 << 31)] = 1
    entry: Name | None = None
    args: list[str] = []
    limits: LimitsBody | None = None


class MessageBody(Struct, kw_only=True, forbid_unknown_fields=True):
    text: str


class LaunchOp(LaunchBody, tag_field="op", tag="launch", kw_only=True, omit_defaults=True):
    ref: Ref
    detach: bool = False
    """The program goes on when the socket closes; otherwise it is cancelled."""


class MessageOp(Struct, tag_field="op", tag="message", kw_only=True, omit_defaults=True):
    text: str
    ref: Ref | None = None
    id: str | None = None


class BlobOp(Struct, tag_field="op", tag="blob", kw_only=True, omit_defaults=True):
    data: bytes
    ref: Ref | None = None
    id: str | None = None


class CancelOp(Struct, tag_field="op", tag="cancel", kw_only=True, omit_defaults=True):
    ref: Ref | None = None
    id: str | None = None


Operation = LaunchOp | MessageOp | BlobOp | CancelOp


class StartedFrame(Struct, tag_field="event", tag="started"):
    ref: int
    id: str


class MessageFrame(Struct, tag_field="event", tag="message"):
    ref: int
    text: str


class BlobFrame(Struct, tag_field="event", tag="blob"):
    ref: int
    data: bytes


class LogFrame(Struct, tag_field="event", tag="log"):
    ref: int
    stream: str
    text: str


class FinishedFrame(Struct, tag_field="event", tag="finished"):
    ref: int
    result: str


class FailedFrame(Struct, tag_field="event", tag="failed"):
    ref: int
    reason: str
    message: str
    traceback: str = ""


class ErrorBody(Struct):
    """`type` says who must act: "caller_error", "guest_error", "operator_error", "internal_error"."""

    message: str
    type: str
    param: str | None = None
    code: str | None = None


class ErrorFrame(Struct, tag_field="event", tag="error"):
    """`ref` is None where the server could not tell which operation was meant."""

    ref: int | None
    error: ErrorBody
    retry_after: float | None = None
    """Seconds after which another try is worth it, for what passes by itself; over HTTP it is the header."""


Frame = StartedFrame | MessageFrame | BlobFrame | LogFrame | FinishedFrame | FailedFrame | ErrorFrame


class ErrorAnswer(Struct):
    """The body of every HTTP answer with a status of 400 or more."""

    error: ErrorBody


class InstanceBody(Struct, kw_only=True):
    """One row of `GET /v1/instances`. Times are seconds since 1970."""

    id: str
    program: str
    state: str
    started_at: float
    finished_at: float | None = None
    usage: dict[str, Any] = {}
