"""What the fake model keeps for one token, and how it mixes what a token sees.

It is a transformer of two layers without numbers: `key0` comes from a token alone, `key1` from it and the
`key0` of all that it sees, a hidden state from `key1` and the `key1` of all that it sees. Seeing is a sum, as
in attention: order does not matter, position does, and what is seen twice counts twice.
"""

from typing import NamedTuple


class FakeToken(NamedTuple):
    """One written token of a page."""

    position: int
    key0: int
    key1: int


def embed(token: int) -> int:
    """What an embedding slot holds after a token was embedded."""
    return hash((token, 11))


def through(value: int, adapter: int | None) -> int:
    """An input's value as it goes through an adapter."""
    return value if adapter is None else hash((value, adapter, 55))


def first_key(value: int, position: int) -> int:
    return hash((value, position, 22))


def second_key(key0: int, seen: int) -> int:
    """`seen`: sum of the `key0` of all that the token sees."""
    return hash((key0, seen, 33))


def hidden(key1: int, seen: int) -> int:
    """`seen`: sum of the `key1` of all that the token sees."""
    return hash((key1, seen, 44))
