"""Every setting of the control layer."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from pie.core.programs import Quota

Policy = Literal["adaptive", "t-only", "k-only", "eager"]


@dataclass(frozen=True, slots=True)
class ControlSettings:
    policy: Policy = "adaptive"
    k: int = 32
    """k-only: a pass is sent when so many queues have work ..."""
    k_guard_ms: float = 100.0
    """... or when something has waited for so long, because fewer programs than K may be left."""
    t_ms: float = 10.0
    """t-only: a pass is sent so long after the first command began to wait."""
    idle_share: float = 0.25
    """adaptive: how long the device may idle for programs that are still to ask for their next token, as a
    share of the measured time of a pass."""
    fuse: bool = True
    """False: one kind of command a pass, as in the publication."""
    passes_in_flight: int | None = None
    """Passes sent before the oldest of them has returned, at most. None: what suits the policy, 2 for
    adaptive and 1 for the others, which take no account of what is under way."""
    max_batch_tokens: int = 2048
    """Input tokens of one pass. A single forward with more goes alone."""
    prefill_tokens: int = 128
    """Of them, those of forwards with several inputs: what a long prompt may add to the time that others wait
    for their next token. Longer forwards are split over passes where that cannot be seen (`chunks.py`)."""
    max_batch_dists: int = 512
    """Distributions of one pass."""
    patience: int = 16
    """Passes after which a queue that was left out goes before higher priorities."""
    weights: Mapping[str, float] = field(default_factory=dict)
    """Of tenants, where they compete for passes; 1 for those that are not named."""

    quotas: Mapping[str, Quota] = field(default_factory=dict)
    """Of tenants; those that are not named may use what there is."""
    quota_seconds: float = 3600.0
    """The period after which what a tenant has used up is forgotten."""

    idle_ms: float = 50.0
    """A program that has asked for nothing for so long may be suspended for any other, when pages run out."""
    notice_ms: float = 100.0
    """A program that is told that pages run short has so long to give some back before it is suspended ..."""
    notice_again_ms: float = 1000.0
    """... and is told again after so long at the earliest."""
    starve_seconds: float = 60.0
    """How long a command waits for pages while nobody else gets on either; then it fails."""

    trace_events: int = 2048
    """Of one program: its latest runs and host calls, for its timeline. 0: there are no timelines."""

    max_queues: int = 256
    """Of one program."""
    max_names: int = 1 << 16
    """Pages, and embeddings, of one program that may be allocated at once."""
    max_matchers: int = 1024
    """Of one program."""
    max_list: int = 1 << 16
    """Elements in one argument; runs in one mask."""
    max_queued_numbers: int = 1 << 20
    """Elements in all commands of one program that are not yet executed."""
    export_bytes: int = 256 << 20
    """Of a tenant on one model: pages that are exported with a lease, and what is said about all exports."""
    max_exports: int = 4096
    """Names of a tenant on one model."""
    max_export_name: int = 256
    max_about: int = 1 << 20
    """Bytes that an export may say about itself."""
    max_lease_seconds: float = 30 * 86400.0
    max_retain_ms: int = 3_600_000
    max_top_k: int = 1024
    max_scored: int = 4096
    """Tokens of one distribution whose exact log-probability is asked for."""
