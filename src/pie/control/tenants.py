"""What each tenant may use and has used, in this period and since the start."""

import math
from collections.abc import Mapping
from dataclasses import replace

from pie.control.addresses import Allowance
from pie.control.budget import UNITS, Budget, Spending, most_of
from pie.core.clock import Clock
from pie.core.programs import Quota


class Tenant:
    """One of them, from its first program on."""

    def __init__(self, name: str, quota: Quota, period: float, clock: Clock) -> None:
        self.name = name
        self.quota = quota
        self.pages = Allowance(quota.pages, f"tenant {name} may have", "ask the operator for more")
        remedy = f"wait for the next period of {period:g} s, or ask the operator for more (tenants.{name})"
        self.budget = Budget(f"tenant {name}", most_of(quota), remedy)
        self.budget.renew = self.roll
        self._before = Spending()
        """In earlier periods."""
        self._period = period
        self._clock = clock
        self._ends = clock.now() + period

    def roll(self) -> None:
        """Begins the next period where it is time to."""
        now = self._clock.now()
        if now >= self._ends:
            self._before.add(self.budget.used)
            self.budget.used = Spending()
            self._ends += self._period * math.ceil((now - self._ends) / self._period or 1)

    @property
    def seconds_left(self) -> float:
        """Of the period."""
        return max(0.0, self._ends - self._clock.now())

    @property
    def exhausted(self) -> str:
        """Which part of its quota is used up for this period, in words; empty where none is."""
        self.roll()
        used, most = self.budget.used, self.budget.most
        found = (name for name in UNITS if getattr(used, name) >= getattr(most, name))
        return next(map(self.budget.figures, found), "")

    def total(self) -> Spending:
        """Since the start."""
        total = replace(self._before)
        total.add(self.budget.used)
        return total


class Tenants:
    """By name."""

    def __init__(self, quotas: Mapping[str, Quota], period: float, clock: Clock) -> None:
        self._quotas = quotas
        self._period = period
        self._clock = clock
        self.known: dict[str, Tenant] = {}

    def of(self, name: str) -> Tenant:
        found = self.known.get(name)
        if found is None:
            quota = self._quotas.get(name, Quota())
            found = self.known[name] = Tenant(name, quota, self._period, self._clock)
        return found
