"""An instance's events as frames (WebSocket) and as JSON objects (server-sent events)."""

import base64
from typing import Any

from pie.core.errors import InternalError
from pie.core.events import Blob, Event, Failed, Finished, Log, Message, Started
from pie.protocol import BlobFrame, FailedFrame, FinishedFrame, Frame, LogFrame, MessageFrame, StartedFrame


def to_frame(ref: int, event: Event) -> Frame:
    match event:
        case Message(text):
            return MessageFrame(ref, text)
        case Log(stream, text):
            return LogFrame(ref, stream, text)
        case Blob(data):
            return BlobFrame(ref, data)
        case Started(instance):
            return StartedFrame(ref, instance)
        case Finished(result):
            return FinishedFrame(ref, result)
        case Failed(reason, message, traceback):
            return FailedFrame(ref, reason, message, traceback)
    raise InternalError(f"an event of unknown kind: {event!r}")


def to_json(event: Event) -> dict[str, Any]:
    """Blobs travel as base64."""
    match event:
        case Message(text):
            return {"event": "message", "text": text}
        case Log(stream, text):
            return {"event": "log", "stream": stream, "text": text}
        case Blob(data):
            return {"event": "blob", "data": base64.b64encode(data).decode()}
        case Started(instance):
            return {"event": "started", "id": instance}
        case Finished(result):
            return {"event": "finished", "result": result}
        case Failed(reason, message, traceback):
            return {"event": "failed", "reason": reason, "message": message, "traceback": traceback}
    raise InternalError(f"an event of unknown kind: {event!r}")
