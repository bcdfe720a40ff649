"""What can go wrong between a client and a server.

PieError
└── ClientError
    ├── ServerNotRunning   nobody answers at the URL
    ├── NotAuthorized      the server wants an API key, or another one
    ├── VersionMismatch    the server speaks another protocol
    ├── ConnectionLost     the server went away while programs ran
    ├── RequestRefused     the server's own error, with its `status`, `type`, `code` and `param`
    │   └── Overloaded       no room for it just now; `retry_after` says when to try again
    ├── ProgramFailed      the program ended with an error; `reason` and `traceback` say which and where
    └── CannotSend         this function or argument cannot travel to the server
"""

from pie.core.errors import PieError
from pie.core.events import Failed
from pie.protocol import ErrorBody


class ClientError(PieError):
    kind = "unavailable"


class ServerNotRunning(ClientError):
    pass


class NotAuthorized(ClientError):
    pass


class VersionMismatch(ClientError):
    pass


class ConnectionLost(ClientError):
    pass


class RequestRefused(ClientError):
    """`status` is None for what was refused within a session."""

    def __init__(self, body: ErrorBody, status: int | None = None, retry_after: float | None = None) -> None:
        super().__init__(body.message)
        self.status = status
        self.type = body.type
        self.code = body.code
        self.param = body.param
        self.retry_after = retry_after
        """Seconds, for what passes by itself."""


class Overloaded(RequestRefused):
    """The server runs as many programs as it may, and as many wait. Its text says what can be done."""


def refused(body: ErrorBody, status: int | None = None, retry_after: float | None = None) -> RequestRefused:
    kind = Overloaded if body.code == "overloaded" else RequestRefused
    return kind(body, status, retry_after)


class ProgramFailed(ClientError):
    """Its text ends with the program's own traceback, which names the user's file and line."""

    kind = "internal"

    def __init__(self, failed: Failed) -> None:
        text = failed.message
        if failed.traceback and failed.traceback.strip() != failed.message.strip():
            text = f"{failed.message}\n\n{failed.traceback.rstrip()}"
        super().__init__(text)
        self.reason = failed.reason
        self.message = failed.message
        self.traceback = failed.traceback


class CannotSend(ClientError, TypeError):
    kind = "invalid-argument"
