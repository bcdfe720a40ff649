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
    cpu_ms_left: float
    wall_ms_left: float
    pages_left: int
