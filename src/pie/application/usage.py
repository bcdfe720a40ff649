"""What an instance has used."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class InstanceUsage:
    pages: int
    """Key-value pages held now; `embs` likewise."""
    embs: int
    page_seconds: float
    tokens: int
    """Input tokens that went through the model."""
    compute_ms: float
    """Its share of the driver's time."""
    cpu_ms: float
    """Processor time of the program itself, host calls included."""
    wall_ms: float
    host_calls: int
    bytes_out: int
    """Messages and HTTP requests; `bytes_in` the answers to those."""
    bytes_in: int
    children: int
    """Programs that it has spawned, and theirs, that are alive."""
    cpu_ms_left: float
    wall_ms_left: float
    pages_left: int
    calls_left: int
    children_left: int
    page_seconds_left: float | None
    """Of this and the following None: as much as you like. A tenant's quota counts, too."""
    tokens_left: int | None
    compute_ms_left: float | None
    host_calls_left: int | None
    bytes_out_left: int | None
