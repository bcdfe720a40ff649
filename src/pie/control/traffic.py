"""Counts of what has been sent to a driver."""

from collections import Counter
from dataclasses import dataclass, field

from pie.control.ticket import Ticket


@dataclass(slots=True)
class Traffic:
    passes: int = 0
    failed_passes: int = 0
    tokens: int = 0
    dists: int = 0
    samples: int = 0
    driver_seconds: float = 0.0
    batch_sizes: Counter[int] = field(default_factory=Counter)
    """Passes by the number of queues they served, rounded up to a power of two."""

    def count(self, ticket: Ticket, seconds: float) -> None:
        self.passes += 1
        self.tokens += ticket.work.token_count
        self.dists += len(ticket.dists)
        self.samples += len(ticket.samples)
        self.driver_seconds += seconds
        self.batch_sizes[1 << (len(ticket.entries) - 1).bit_length()] += 1
