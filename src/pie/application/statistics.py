"""What the application layer tells operators about itself."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ApplicationStatistics:
    alive: int
    """Instances that have a place and have not ended."""
    waiting: int
    """Launches that wait for a place."""
    runnable: int
    """Of these, those that would run at once if they were let."""
    launched: int
    rejected: dict[str, int]
    """Launches by the reason why they were refused, or ended before they got a place."""
    ended: dict[str, int]
    """Ended instances by reason: "finished", or that of their `Failed`."""
    spares: int
    """Sandboxes that are ready for launches."""
    turns: int
    polls: int
    yields: int
    """Polls that ended because a program had used up its slice of time."""
