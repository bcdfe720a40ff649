"""Exceptions that are our own mistakes: logged, and told to as few programs as possible."""

import logging

from pie.core.errors import InternalError

_log = logging.getLogger(__name__)


def mistake(doing: str, error: Exception) -> InternalError:
    """What programs get that were in the way of it. Nobody is left waiting, and the others go on."""
    _log.error("%s failed", doing, exc_info=error)
    return InternalError(
        f"{doing} failed with {type(error).__name__}: {error}. "
        "This is a mistake in Pie, not in the program: please report it"
    )
