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
