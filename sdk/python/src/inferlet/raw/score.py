"""Trait *score*: how probable given tokens are."""

from collections.abc import Iterable

from inferlet.checks import unsigned, unsigned_list
from inferlet.futures import Future, Reading
from inferlet.host import bound
from inferlet.raw.calls import call


def logprobs(queue: int, embs: Iterable[int], targets: Iterable[int]) -> Future[list[float]]:
    """The natural log-probability of each of `targets` as the token after the one of `embs` beside it."""
    future = call(
        bound.host.score.logprobs, unsigned("queue", queue), unsigned_list("embs", embs),
        unsigned_list("targets", targets),
    )
    return Reading(future, bound.host.score.take_logprobs)
