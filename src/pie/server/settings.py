"""What the server room needs to know."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from pie.core.programs import DEFAULT_TENANT, Limits


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """Bounds are per request or per socket; sizes in bytes, times in seconds."""

    host: str = "127.0.0.1"
    port: int = 8642
    api_key: str | None = None
    """Stands for the tenant "default"."""
    api_keys: Mapping[str, str] = field(default_factory=dict)
    """More keys, each with its tenant."""
    insecure: bool = False
    limits: Limits = field(default_factory=Limits)
    """What a launch gets when it asks for nothing, and the most it may ask for."""

    component_bytes: int = 128 << 20
    body_bytes: int = 4 << 20
    frame_bytes: int = 8 << 20
    """One WebSocket message of a client."""
    outbox_bytes: int = 1 << 20
    """Frames that wait for one client; when it is full, its programs' events wait with the application."""
    stall_seconds: float = 30.0
    """A client that neither sends what it announced nor takes what it asked for, for so long, is gone."""
    ping_seconds: float = 15.0

    def tenants(self) -> dict[str, str]:
        """Tenants by key; empty where no key is needed."""
        return {**self.api_keys, **({} if self.api_key is None else {self.api_key: DEFAULT_TENANT})}
