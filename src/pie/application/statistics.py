"""What the application layer tells operators about itself."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ApplicationStatistics:
    alive: int
    """Instances that have not ended."""
    runnable: int
    """Of these, those that would run at once if they were let."""
    launched: int
    ended: dict[str, int]
    """Ended instances by reason: "finished", or that of their `Failed`."""
    spares: int
    """Sandboxes that are ready for launches."""
    turns: int
    polls: int
    yields: int
    """Polls that ended because a program had used up its slice of time."""
