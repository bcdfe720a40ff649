"""HTTP and WebSocket in front of the application layer: routes, keys, errors, health, graceful stop.

Nothing here decides about programs, pages or passes, and nothing here knows a model or a sandbox: this room
turns requests into calls of `pie.application.Application` and events into frames.
"""

from pie.server.app import make_app
from pie.server.listener import Listener, bind
from pie.server.service import Backend, Service
from pie.server.settings import ServerSettings

__all__ = ["Backend", "Listener", "ServerSettings", "Service", "bind", "make_app"]
