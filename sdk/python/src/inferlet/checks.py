"""Arguments are checked before they cross into the sandbox's host: a wrong type there ends the program
without a line number, here it is an exception on the user's own line."""

from array import array
from collections.abc import Iterable

from inferlet.errors import InvalidArgument, LimitExceeded

MOST_ITEMS = 1 << 20
"""In one list; far longer ones would end the program without a line number."""
U32_MAX = 0xFFFF_FFFF
U64_MAX = 0xFFFF_FFFF_FFFF_FFFF


def unsigned(name: str, value: int, most: int = U32_MAX) -> int:
    """`value`, if it is an integer from 0 to `most`."""
    if not isinstance(value, int):
        raise TypeError(f"{name} must be an integer, not {value!r}")
    if 0 <= value <= most:
        return value
    raise InvalidArgument(f"{name} must be from 0 to {most}, not {value}")


def unsigned_list(name: str, values: Iterable[int]) -> list[int]:
    """`values` as a list, if all are integers from 0 to 2**32 - 1, and not too many."""
    try:
        listed = values if type(values) is list else list(values)
        array("I", listed)  # checks each element in C
    except TypeError:
        raise TypeError(f"{name} must be integers, not {values!r}") from None
    except OverflowError:
        raise InvalidArgument(f"{name} must be from 0 to {U32_MAX}, not {values!r}") from None
    if len(listed) > MOST_ITEMS:
        raise LimitExceeded(f"{name} has {len(listed)} items; a call carries at most {MOST_ITEMS}")
    return listed


def text(name: str, value: str) -> str:
    """`value`, if it is a string that UTF-8 can carry."""
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a string, not {value!r}")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError as failure:
            raise InvalidArgument(f"{name} has a lone surrogate at index {failure.start}") from None
    return value


def number(name: str, value: float) -> float:
    """`value` as a float."""
    if not isinstance(value, int | float):
        raise TypeError(f"{name} must be a number, not {value!r}")
    return float(value)
