"""The client library: launch programs on a Pie server and talk to them, with and without asyncio.

Knows the protocol and nothing of the server's insides.
"""

from pie.client.async_client import AsyncClient
from pie.client.decorator import Inferlet, inferlet
from pie.client.errors import (
    CannotSend,
    ClientError,
    ConnectionLost,
    NotAuthorized,
    Overloaded,
    ProgramFailed,
    RequestRefused,
    ServerNotRunning,
    VersionMismatch,
)
from pie.client.running import AsyncRunning
from pie.client.sync_client import Client, Running

__all__ = [
    "AsyncClient",
    "AsyncRunning",
    "CannotSend",
    "Client",
    "ClientError",
    "ConnectionLost",
    "Inferlet",
    "NotAuthorized",
    "Overloaded",
    "ProgramFailed",
    "RequestRefused",
    "Running",
    "ServerNotRunning",
    "VersionMismatch",
    "inferlet",
]
