"""One way to call the host: what it refuses becomes an exception of the library."""

from collections.abc import Callable
from typing import ParamSpec, TypeVar

from inferlet.host import bound, translate

P = ParamSpec("P")
R = TypeVar("R")


def call(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Calls a host function. Raises a subclass of `InferletError` where it fails."""
    try:
        return function(*args, **kwargs)
    except bound.host.error as failure:
        raise translate(failure) from None
