"""What the control layer tells operators and programs about itself."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PoolStatistics:
    total: int
    free: int
    held: int
    swapped: int = 0
    """In host memory or on disk; not among those held."""
    on_disk: int = 0
    """Of these."""


@dataclass(frozen=True, slots=True)
class ModelStatistics:
    pages: PoolStatistics
    embs: PoolStatistics
    slots: PoolStatistics
    matchers: PoolStatistics
    queues: int
    queued_commands: int
    """Not yet sent to the driver."""
    passes_in_flight: int
    suspended: int
    """Queues of suspended programs that wait for their pages, or for pages at all."""
    suspensions: int
    """How often a program was suspended since the start."""
    notices: int
    """How often one was told that pages run short."""
    passes: int
    failed_passes: int
    tokens: int
    """Input tokens of all passes."""
    dists: int
    samples: int
    driver_seconds: float
    """Sum over all passes."""
    pass_seconds: float
    """Of one pass, smoothed over the last few."""
    batch_sizes: dict[int, int]
    """Passes by the number of queues they served, rounded up to a power of two."""
    down: str
    """Why there is no driver at the moment; empty when there is one."""


@dataclass(frozen=True, slots=True)
class ControlStatistics:
    sessions: int
    models: dict[str, ModelStatistics]


@dataclass(frozen=True, slots=True)
class Glance:
    """One program at this moment, over all models."""

    commands: int
    """That its queues still have to execute."""
    tokens: int
    """Input tokens that went through a model."""
    pages: int
    host_pages: int
    """Its own in host memory."""
    suspended: bool


@dataclass(frozen=True, slots=True)
class SessionUsage:
    """Of one program, over all models."""

    pages: int
    """Virtual pages that hold memory now; a shared one counts for each."""
    embs: int
    page_seconds: float
    tokens: int
    """Input tokens that went through a model."""
    compute_ms: float
    """Its share of the passes it had a part in."""
    pages_left: int
    """Free pages of the models it uses, at the fullest of them."""
