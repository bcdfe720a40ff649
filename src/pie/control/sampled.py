"""Tokens as the control layer knows them: not yet, or since their pass has returned."""

from dataclasses import dataclass


@dataclass(slots=True, eq=False)
class Sampled:
    """What a slot holds."""

    number: int
    """Of the pass that samples it."""
    token: int | None = None
