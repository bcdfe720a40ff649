"""Errors as HTTP answers and frames: one shape, `{"error": {"message", "type", "param", "code"}}`."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from pie.core import errors
from pie.protocol import ErrorAnswer, ErrorBody


@dataclass(frozen=True, slots=True)
class Answer:
    """How one class of errors is told. `retry_after` in seconds."""

    status: int
    type: str
    code: str
    retry_after: int | None = None


ANSWERS: Mapping[type[errors.PieError], Answer] = {
    errors.InvalidArgument: Answer(400, "caller_error", "invalid_argument"),
    errors.UnknownId: Answer(404, "caller_error", "unknown_id"),
    errors.QueueFailed: Answer(409, "guest_error", "queue_failed"),
    errors.LimitExceeded: Answer(413, "caller_error", "limit_exceeded"),
    errors.GuestError: Answer(400, "guest_error", "guest_error"),
    errors.BadProgram: Answer(422, "guest_error", "bad_program"),
    errors.NotFound: Answer(404, "caller_error", "not_found"),
    errors.WrongState: Answer(409, "caller_error", "wrong_state"),
    errors.CallerError: Answer(400, "caller_error", "bad_request"),
    errors.Overloaded: Answer(429, "operator_error", "overloaded", retry_after=1),
    errors.OutOfResources: Answer(429, "operator_error", "out_of_resources", retry_after=1),
    errors.Unavailable: Answer(503, "operator_error", "unavailable", retry_after=2),
    errors.OperatorError: Answer(503, "operator_error", "unavailable", retry_after=2),
    errors.Cancelled: Answer(409, "caller_error", "cancelled"),
    errors.Timeout: Answer(504, "operator_error", "timeout"),
    errors.PieError: Answer(500, "internal_error", "internal"),
}

HTTP_CODES: Mapping[int, str] = {404: "no_such_route", 405: "method_not_allowed", 413: "too_large"}


def answer_for(error: errors.PieError) -> Answer:
    """The entry of the closest base class."""
    return next(ANSWERS[base] for base in type(error).__mro__ if base in ANSWERS)


def error_body(error: errors.PieError) -> ErrorBody:
    answer = answer_for(error)
    return ErrorBody(str(error), answer.type, getattr(error, "param", None), answer.code)


def retry_after(error: errors.PieError) -> float | None:
    """In seconds; None for what does not pass by itself."""
    return error.retry_after if isinstance(error, errors.Overloaded) else answer_for(error).retry_after


def error_response(status: int, body: ErrorBody, headers: Mapping[str, str] | None = None) -> Response:
    content = msgspec.json.encode(ErrorAnswer(body))
    return Response(content, status, dict(headers or {}), media_type="application/json")


async def on_pie_error(request: Request, error: Exception) -> Response:
    del request
    if not isinstance(error, errors.PieError):
        raise error
    seconds = retry_after(error)
    retry = {} if seconds is None else {"Retry-After": str(math.ceil(seconds))}
    return error_response(answer_for(error).status, error_body(error), retry)


async def on_http_exception(request: Request, error: Exception) -> Response:
    """404, 405 and what else starlette raises by itself."""
    if not isinstance(error, HTTPException):
        raise error
    where = f"{request.method} {request.url.path}"
    known = {404: f"no route {where}", 405: f"{where} is not allowed here"}
    message = known.get(error.status_code, error.detail)
    kind = "caller_error" if error.status_code < 500 else "internal_error"
    body = ErrorBody(message, kind, None, HTTP_CODES.get(error.status_code))
    return error_response(error.status_code, body, error.headers)


async def on_bug(request: Request, error: Exception) -> Response:
    """A bug of ours. Starlette raises it again after the answer, so that it reaches the log."""
    del error
    message = f"internal error; the server's log has it under request id {request.state.request_id}"
    return error_response(500, ErrorBody(message, "internal_error", None, "internal"))


UNDECODABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What msgspec raises for bytes that are not what they should be, too deep nesting included."""


class BadBody(errors.InvalidArgument):
    """A body or frame that does not decode; `param` is the field it is about, where that is known."""

    def __init__(self, error: Exception) -> None:
        text = str(error)
        place = re.search(r" - at `\$\.?([^`]*)`$", text)
        self.param = place.group(1) or None if place else None
        super().__init__(text)
