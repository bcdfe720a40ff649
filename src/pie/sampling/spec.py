"""What the settings of a draw may be."""

import math
from typing import Protocol

from pie.core.errors import InvalidArgument

STRONGEST = 1000.0
"""Of penalties: far beyond what is of use, and far from what numbers can hold."""


class Settings(Protocol):
    """The scalar settings of `core.commands.SamplingSpec`."""

    @property
    def temperature(self) -> float: ...
    @property
    def top_p(self) -> float: ...
    @property
    def top_k(self) -> int: ...
    @property
    def min_p(self) -> float: ...
    @property
    def seed(self) -> int: ...
    @property
    def repetition_penalty(self) -> float: ...
    @property
    def presence_penalty(self) -> float: ...
    @property
    def frequency_penalty(self) -> float: ...


def check_spec(how: Settings) -> None:
    """Raises `InvalidArgument`, which names the setting."""
    if not 0 <= how.temperature < math.inf:
        raise InvalidArgument(f"temperature must be 0 or more, not {how.temperature}")
    if not 0 <= how.top_p <= 1 or not 0 <= how.min_p <= 1:
        raise InvalidArgument(f"top_p and min_p must be from 0 to 1, not {how.top_p} and {how.min_p}")
    if not 0 < how.repetition_penalty <= STRONGEST:
        raise InvalidArgument(
            f"repetition_penalty must be above 0 and at most {STRONGEST:g}, not {how.repetition_penalty}"
        )
    if not (abs(how.presence_penalty) <= STRONGEST and abs(how.frequency_penalty) <= STRONGEST):  # NaN fails
        raise InvalidArgument(
            f"presence_penalty and frequency_penalty must be from -{STRONGEST:g} to {STRONGEST:g}, not "
            f"{how.presence_penalty} and {how.frequency_penalty}"
        )
    if not (0 <= how.seed < 1 << 64 and 0 <= how.top_k < 1 << 31):
        raise InvalidArgument(f"seed {how.seed} must have 64 bits, top_k {how.top_k} 31, both from 0 on")
