"""Every setting of outbound HTTP."""

from dataclasses import dataclass

from pie.application.egress_hosts import HostPattern


@dataclass(frozen=True, slots=True)
class EgressSettings:
    """Without hosts nothing is allowed. Sizes in bytes."""

    hosts: tuple[HostPattern, ...] = ()
    private_hosts: tuple[HostPattern, ...] = ()
    """Allowed too, and these may have addresses of this machine and of private networks."""
    seconds: float = 30.0
    """One request, from the call to the last byte of the answer, redirects and waiting included."""
    response_bytes: int = 8 << 20
    """Body of one answer, before decompression and after it."""
    redirects: int = 10
    connections: int = 64
    """At a time, of all programs."""
    connections_each: int = 8
    """At a time, of one program; further requests wait."""
    requests_each: int = 256
    """Of one program that wait, run, or whose answers it has not taken."""
    held_bytes_each: int = 32 << 20
    """Bodies on their way from or to one program, in memory."""
    held_bytes: int = 256 << 20
    """The same of all programs."""
