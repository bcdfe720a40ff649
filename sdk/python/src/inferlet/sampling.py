"""How the next token is picked: a `Sampler`, or any function `(Dist) -> int`."""

import os
from collections.abc import Callable, Sequence

from inferlet.checks import U64_MAX, number, unsigned
from inferlet.dist import Dist, Sampling
from inferlet.errors import InvalidArgument
from inferlet.raw.slots import SamplingSpec

PickToken = Callable[[Dist], int]

KEPT_TOKENS = 256
"""How many of the best tokens a distribution keeps when nobody says otherwise; drawing starts from those."""

_GOLDEN = 0x9E37_79B9_7F4A_7C15


class Sampler:
    """Draws from the best tokens, in this order: penalties, temperature, top-k, top-p, min-p, draw.

    temperature: 0 takes the best token, above 0 flattens or (below 1) sharpens. top_p: keeps the smallest set
    of best tokens with so much probability. top_k: keeps so many (0: all of the best 256). min_p: keeps those
    with at least this share of the best one's probability.
    repetition_penalty (above 1), presence_penalty, frequency_penalty (above 0): make tokens rarer that this
    generation has used; the first divides their logits (multiplies negative ones), the second is taken off
    once, the third once for each use.
    seed: the same seed gives the same text again, token by token: each position draws with its own number,
    made of the seed and the position. Without one it is different each time.

    A sampler is also a function `(Dist) -> int`, so one of yours can call it.
    """

    __slots__ = ("_how", "kept_tokens", "seed")

    def __init__(
        self,
        temperature: float = 1.0,
        top_p: float = 1.0,
        top_k: int = 0,
        min_p: float = 0.0,
        seed: int | None = None,
        repetition_penalty: float = 1.0,
        presence_penalty: float = 0.0,
        frequency_penalty: float = 0.0,
    ) -> None:
        if not 0 <= number("temperature", temperature) < float("inf"):
            raise InvalidArgument(f"temperature must be at least 0, not {temperature}")
        if not 0 < number("top_p", top_p) <= 1:
            raise InvalidArgument(f"top_p must be above 0 and at most 1, not {top_p}")
        if not 0 <= number("min_p", min_p) <= 1:
            raise InvalidArgument(f"min_p must be from 0 to 1, not {min_p}")
        if not number("repetition_penalty", repetition_penalty) > 0:
            raise InvalidArgument(f"repetition_penalty must be above 0, not {repetition_penalty}")
        self.seed = random_seed() if seed is None else unsigned("seed", seed, U64_MAX)
        self._how = Sampling(
            float(temperature), float(top_p), unsigned("top_k", top_k), float(min_p), self.seed,
            float(repetition_penalty), number("presence_penalty", presence_penalty),
            number("frequency_penalty", frequency_penalty),
        )
        only_best = temperature == 0 and not self.penalises
        limited = min(top_k or KEPT_TOKENS, KEPT_TOKENS)
        self.kept_tokens = 1 if only_best else KEPT_TOKENS if self.penalises else limited
        """How many of the best tokens the distribution must keep for this sampler."""

    @property
    def penalises(self) -> bool:
        """Tokens used before count."""
        how = self._how
        return (how.repetition_penalty, how.presence_penalty, how.frequency_penalty) != (1, 0, 0)

    def spec(self, seen: Sequence[int]) -> SamplingSpec:
        """For `raw.decode_ahead`, after the tokens `seen`."""
        return SamplingSpec(*self._how[:-1], seen if self.penalises else ())

    def __call__(self, dist: Dist) -> int:
        if self.kept_tokens == 1:
            return dist.max_index()
        seen = dist.seen if self.penalises else ()
        return dist.sample_as(self._how._replace(seed=mix(self.seed, dist.position), seen=seen))

    def __repr__(self) -> str:
        given = {name: value for name, value in self._how._asdict().items() if name != "seen"}
        return f"Sampler({', '.join(f'{name}={value}' for name, value in given.items())})"


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


def min_p(p: float, temperature: float = 1.0, seed: int | None = None) -> Sampler:
    """Draws from the tokens that have at least the share `p` of the best one's probability."""
    return Sampler(temperature, min_p=p, seed=seed)


def random_seed() -> int:
    """A number that differs in every program (the interpreter's own generator starts from a snapshot)."""
    return int.from_bytes(os.urandom(8), "little")


def mix(seed: int, step: int) -> int:
    """A 64-bit number for each step of a seed (the finalizer of SplitMix64)."""
    z = (seed + (step + 1) * _GOLDEN) & U64_MAX
    z = ((z ^ (z >> 30)) * 0xBF58_476D_1CE4_E5B9) & U64_MAX
    z = ((z ^ (z >> 27)) * 0x94D0_49BB_1331_11EB) & U64_MAX
    return z ^ (z >> 31)
