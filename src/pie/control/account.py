"""What one program has asked for and used."""

from dataclasses import dataclass

from pie.control.trace import Trace


@dataclass(slots=True)
class Account:
    commands: int = 0
    """Not yet executed."""
    numbers: int = 0
    """Elements in those commands' arguments."""
    tokens: int = 0
    """Input tokens that went through a model."""
    compute_ms: float = 0.0
    """Its share of the time of the passes it had a part in."""
    trace: Trace | None = None
    """Where its part in passes is noted."""

    def settle(self, commands: int, numbers: int) -> None:
        """So many commands have been executed or dropped."""
        self.commands -= commands
        self.numbers -= numbers
