"""Choosing a token from a distribution's best ones, as `pie.sampling` defines it."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from pie.core.commands import Dist
from pie.sampling import Rows, check_spec, draw
from pie.sampling.spec import Settings


class Sampling(Settings, Protocol):
    """The contract's record `sampling`."""

    @property
    def seen(self) -> Sequence[int]: ...


def sample(dist: Dist, how: Sampling) -> int:
    """One of `dist.tokens`. Raises `InvalidArgument` for settings that make no sense."""
    check_spec(how)
    if how.temperature == 0 and not how.seen:
        return int(dist.tokens[0])
    rows = Rows(
        np.asarray(dist.tokens, np.int32)[None],
        np.asarray(dist.probs, np.float32)[None],
        np.array([dist.best_logit], np.float32),
        np.array([how.temperature]),
        np.array([how.top_p]),
        np.array([how.top_k], np.int32),
        np.array([how.min_p]),
        [how.seed],
        np.array([how.repetition_penalty]),
        np.array([how.presence_penalty]),
        np.array([how.frequency_penalty]),
        [how.seen],
    )
    return int(draw(rows)[0])
