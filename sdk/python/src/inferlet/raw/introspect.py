"""Trait *introspect*: where the model looks."""

from collections.abc import Iterable

from inferlet.checks import unsigned, unsigned_list
from inferlet.futures import Future, Reading
from inferlet.host import bound
from inferlet.raw.calls import call


def attention_stats(queue: int, ikv: Iterable[int], iemb: Iterable[int]) -> Future[list[float]]:
    """The share of the attention of `iemb` that goes to each page of `ikv` and, last, to the inputs.

    A mean over layers, heads and inputs; the sum is 1. Stores nothing.
    """
    future = call(
        bound.host.introspect.attention_stats, unsigned("queue", queue), unsigned_list("ikv", ikv),
        unsigned_list("iemb", iemb),
    )
    return Reading(future, bound.host.introspect.take_stats)
