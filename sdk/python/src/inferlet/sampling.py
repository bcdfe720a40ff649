"""How the next token is picked: a `Sampler`, or any function `(Dist) -> int`."""

import os
from collections.abc import Callable

from inferlet.checks import U64_MAX, number, unsigned
from inferlet.dist import Dist, Sampling
from inferlet.errors import InvalidArgument

PickToken = Callable[[Dist], int]

KEPT_TOKENS = 256
"""How many of the best tokens a distribution keeps when nobody says otherwise."""

_GOLDEN = 0x9E37_79B9_7F4A_7C15


class Sampler:
    """Draws from the best tokens. Temperature 0 takes the best one.

    The same seed gives the same text again, token by token: each position draws with its own number, made
    of the seed and the position. Without a seed it is different each time.
    """

    __slots__ = ("_how", "kept_tokens", "seed")

    def __init__(
        self,
        temperature: float = 1.0,
        top_p: float = 1.0,
        top_k: int = 0,
        min_p: float = 0.0,
        seed: int | None = None,
    ) -> None:
        if number("temperature", temperature) < 0:
            raise InvalidArgument(f"temperature must be at least 0, not {temperature}")
        if not 0 < number("top_p", top_p) <= 1:
            raise InvalidArgument(f"top_p must be above 0 and at most 1, not {top_p}")
        if not 0 <= number("min_p", min_p) <= 1:
            raise InvalidArgument(f"min_p must be from 0 to 1, not {min_p}")
        self.seed = random_seed() if seed is None else unsigned("seed", seed, U64_MAX)
        self.kept_tokens = 1 if temperature == 0 else unsigned("top_k", top_k) or KEPT_TOKENS
        """How many of the best tokens the distribution must keep for this sampler."""
        self._how = Sampling(float(temperature), float(top_p), top_k, float(min_p), self.seed)

    def __call__(self, dist: Dist) -> int:
        if self.kept_tokens == 1:
            return dist.max_index()
        return dist.sample_as(self._how._replace(seed=mix(self.seed, dist.position)))

    def __repr__(self) -> str:
        settings = list(self._how._asdict().items())[:5]
        return f"Sampler({', '.join(f'{name}={value}' for name, value in settings)})"


def greedy() -> Sampler:
    """Always the most probable token."""
    return Sampler(temperature=0, seed=0)


def temperature(value: float, seed: int | None = None) -> Sampler:
    """Below 1 safer, above 1 more surprising."""
    return Sampler(value, seed=seed)


def top_p(p: float, temperature: float = 1.0, seed: int | None = None) -> Sampler:
    """Draws from the smallest set of best tokens that has probability `p`."""
    return Sampler(temperature, top_p=p, seed=seed)


def top_k(k: int, temperature: float = 1.0, seed: int | None = None) -> Sampler:
    """Draws from the `k` best tokens."""
    return Sampler(temperature, top_k=k, seed=seed)


def random_seed() -> int:
    """A number that differs in every program (the interpreter's own generator starts from a snapshot)."""
    return int.from_bytes(os.urandom(8), "little")


def mix(seed: int, step: int) -> int:
    """A 64-bit number for each step of a seed (one round of splitmix64)."""
    z = (seed + (step + 1) * _GOLDEN) & U64_MAX
    z = ((z ^ (z >> 30)) * 0xBF58_476D_1CE4_E5B9) & U64_MAX
    z = ((z ^ (z >> 27)) * 0x94D0_49BB_1331_11EB) & U64_MAX
    return z ^ (z >> 31)
