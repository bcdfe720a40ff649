"""What is wrong with a program, and what was found out about it."""

from dataclasses import dataclass, field

from pie.application.building.asks import Ask


@dataclass(frozen=True, slots=True)
class Problem:
    kind: str
    """`syntax`, `import`, `main`, `types`."""
    line: int
    """0 where it is about the whole file."""
    message: str
    remedy: str = ""


@dataclass(slots=True)
class Report:
    file: str
    problems: list[Problem] = field(default_factory=list)
    asks: list[Ask] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
