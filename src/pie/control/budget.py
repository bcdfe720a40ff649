"""What programs and tenants may use up, and have: charged to a program, to all above it, and to its tenant.

A program's budget holds for all that it spawns too. A tenant's begins anew with each period.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from types import MappingProxyType

from pie.core.errors import LimitExceeded
from pie.core.programs import Limits, Quota

UNITS: Mapping[str, str] = MappingProxyType(
    {
        "tokens": "tokens",
        "compute_ms": "ms of the device's time",
        "page_seconds": "page-seconds",
        "host_calls": "host calls",
        "bytes_out": "bytes sent",
    }
)


@dataclass(slots=True)
class Spending:
    """Of what is used up. Names as in `Limits` and `Quota`."""

    tokens: float = 0
    compute_ms: float = 0
    page_seconds: float = 0
    host_calls: float = 0
    bytes_out: float = 0

    def add(self, other: "Spending") -> None:
        for field in fields(self):
            setattr(self, field.name, getattr(self, field.name) + getattr(other, field.name))


def most_of(given: Limits | Quota) -> Spending:
    return Spending(**{name: getattr(given, name) for name in UNITS})


class Budget:
    """One program's or tenant's. `above`: what is charged with it."""

    __slots__ = ("above", "most", "remedy", "renew", "used", "whose")

    def __init__(self, whose: str, most: Spending, remedy: str, above: "Budget | None" = None) -> None:
        self.whose = whose
        self.most = most
        self.remedy = remedy
        self.above = above
        self.used = Spending()
        self.renew: Callable[[], None] = _nothing
        """Called before it is said that something is used up: a new period may have begun."""

    def chain(self) -> "Iterator[Budget]":
        found: Budget | None = self
        while found is not None:
            yield found
            found = found.above

    def charge_pass(self, tokens: int, compute_ms: float) -> bool:
        """Whether one of the budgets is used up by it. Called for each program in each pass."""
        over, budget = False, self
        while True:
            used, most = budget.used, budget.most
            used.tokens += tokens
            used.compute_ms += compute_ms
            over = over or used.tokens >= most.tokens or used.compute_ms >= most.compute_ms
            if budget.above is None:
                return over
            budget = budget.above

    def charge_calls(self, count: int) -> bool:
        """The same for host calls."""
        over, budget = False, self
        while True:
            budget.used.host_calls += count
            over = over or budget.used.host_calls > budget.most.host_calls
            if budget.above is None:
                return over
            budget = budget.above

    def charge(self, name: str, amount: float) -> None:
        for budget in self.chain():
            setattr(budget.used, name, getattr(budget.used, name) + amount)

    def check(self, name: str, amount: float = 0) -> None:
        """Raises `LimitExceeded` where `amount` more is too much; without one, where nothing is left."""
        for budget in self.chain():
            if budget._lacks(name, amount):
                budget.renew()
                if budget._lacks(name, amount):
                    raise LimitExceeded(budget.describe(name, amount))

    def check_all(self, names: tuple[str, ...] = tuple(UNITS)) -> None:
        """Raises `LimitExceeded` for the first of them of which nothing is left."""
        for name in names:
            self.check(name)

    def left(self, name: str) -> float | None:
        """None: as much as you like."""
        least = min(getattr(each.most, name) - getattr(each.used, name) for each in self.chain())
        return None if math.isinf(least) else max(0.0, least)

    def describe(self, name: str, amount: float = 0) -> str:
        more = f", and {amount:.10g} more are asked for" if amount else ""
        return f"{self.figures(name)}{more}: {self.remedy}"

    def figures(self, name: str) -> str:
        used, most = getattr(self.used, name), getattr(self.most, name)
        return f"{self.whose} has used {used:.10g} of its {most:.10g} {UNITS[name]} ({name})"

    def _lacks(self, name: str, amount: float) -> bool:
        used, most = getattr(self.used, name), getattr(self.most, name)
        return bool(used + amount > most or (not amount and used >= most))


def _nothing() -> None:
    """A program's budget is for its whole life."""
