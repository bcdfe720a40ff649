"""Numbers from seeds: SplitMix64 (Steele, Lea and Flood, 2014)."""

MASK = (1 << 64) - 1
GOLDEN = 0x9E3779B97F4A7C15


def mix(z: int) -> int:
    """SplitMix64's finalizer."""
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return z ^ (z >> 31)


def uniform(seed: int) -> float:
    """A number in [0, 1) for a seed."""
    return (mix((seed + GOLDEN) & MASK) >> 11) / (1 << 53)


def step_seed(seed: int, position: int) -> int:
    """The seed of the token at a position, in a text that is drawn with one seed."""
    return mix((seed + (position + 1) * GOLDEN) & MASK)
