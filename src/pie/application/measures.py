"""Figures for operators: names as in Prometheus, what they mean, and one number for each set of labels."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from pie.application.admission import Admission
from pie.application.statistics import ApplicationStatistics
from pie.control import ModelStatistics
from pie.control.budget import UNITS
from pie.control.tenants import Tenant

Labels = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Measure:
    """`name` without `pie_`."""

    name: str
    kind: Literal["gauge", "counter"]
    help: str
    values: Sequence[tuple[Labels, float]]


def of_programs(found: ApplicationStatistics) -> Iterator[Measure]:
    states = [((("state", "alive"),), found.alive), ((("state", "waiting"),), found.waiting)]
    yield Measure("instances", "gauge", "Programs with a place, launches that wait for one", states)
    yield Measure(
        "instances_finished_total", "counter", "Programs that have ended", by("reason", found.ended.items())
    )
    rejected = by("reason", found.rejected.items())
    yield Measure("admission_rejected_total", "counter", "Launches that got no place", rejected)


def of_models(models: dict[str, ModelStatistics]) -> Iterator[Measure]:
    pages = [
        ((("model", name), ("state", state)), float(count))
        for name, found in models.items()
        for state, count in (
            ("free", found.pages.free),
            ("held", found.pages.held),
            ("swapped", found.pages.swapped),
            ("disk", found.pages.on_disk),
        )
    ]
    yield Measure("kv_pages", "gauge", "Key-value pages", pages)
    tokens = [((("model", name), ("kind", "input")), float(one.tokens)) for name, one in models.items()]
    yield Measure("tokens_total", "counter", "Tokens through models", tokens)
    for name, help, take in COUNTERS:
        values = [((("model", model),), float(getattr(found, take))) for model, found in models.items()]
        yield Measure(name, "counter", help, values)
    causes = [((("model", name), ("cause", "pages")), float(one.suspensions)) for name, one in models.items()]
    yield Measure("preemptions_total", "counter", "Programs that were suspended", causes)
    queued = [((("model", name),), float(one.queued_commands)) for name, one in models.items()]
    yield Measure("queued_commands", "gauge", "Commands that wait for a pass", queued)


COUNTERS = (
    ("passes_total", "Passes", "passes"),
    ("passes_failed_total", "Passes that failed", "failed_passes"),
    ("pass_seconds_total", "Time of the driver", "driver_seconds"),
    ("pressure_notices_total", "Programs that were told that pages run short", "notices"),
)


def of_tenants(tenants: Iterable[Tenant], admission: Admission) -> Iterator[Measure]:
    """What each has now, has used in all, and in this period, and may use."""
    tenants = list(tenants)
    now: list[tuple[Labels, float]] = []
    total: list[tuple[Labels, float]] = []
    period: list[tuple[Labels, float]] = []
    quota: list[tuple[Labels, float]] = []
    waiting = admission.waiting
    for tenant in tenants:
        name = tenant.name
        tenant.roll()
        held = {
            "programs": admission.running[name], "waiting": waiting.get(name, 0),
            "children": admission.children[name], "pages": tenant.pages.used,
        }  # fmt: skip
        now += [((("tenant", name), ("resource", what)), float(count)) for what, count in held.items()]
        used, everything = tenant.budget.used, tenant.total()
        total += [((("tenant", name), ("resource", what)), getattr(everything, what)) for what in UNITS]
        period += [((("tenant", name), ("resource", what)), getattr(used, what)) for what in UNITS]
        most = {what: getattr(tenant.quota, what) for what in (*UNITS, "programs", "children", "pages")}
        quota += [
            ((("tenant", name), ("resource", what)), allowed)
            for what, allowed in most.items() if allowed < float("inf")
        ]  # fmt: skip
    yield Measure("tenant_held", "gauge", "What each tenant has at the moment", now)
    yield Measure("tenant_used_total", "counter", "What each tenant has used up since the start", total)
    yield Measure("tenant_used_in_period", "gauge", "The same in this period of its quota", period)
    yield Measure("tenant_quota", "gauge", "What each tenant may have at a time, or use in a period", quota)


def by(label: str, counts: Iterable[tuple[str, float]]) -> list[tuple[Labels, float]]:
    return [(((label, value),), float(count)) for value, count in counts]
