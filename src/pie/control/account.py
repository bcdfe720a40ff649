"""What one program has asked for and used."""

from dataclasses import dataclass, field

from pie.control.budget import Budget, most_of
from pie.control.trace import Trace
from pie.core.programs import Limits


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
    budget: Budget = field(default_factory=lambda: Budget("this program", most_of(Limits()), ""))
    """What it, and all above it, may use up."""
    over: bool = False
    """Something of that may be used up: look before more is queued."""
    trace: Trace | None = None
    """Where its part in passes is noted."""

    def settle(self, commands: int, numbers: int) -> None:
        """So many commands have been executed or dropped."""
        self.commands -= commands
        self.numbers -= numbers
