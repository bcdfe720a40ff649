"""Whose turn it is. There is one thread, so one place says which guest a host call comes from."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pie.application.guest import Guest


class Stage:
    """Set by the runtime around each poll of a fiber; host calls read it."""

    __slots__ = ("context", "guest")

    guest: "Guest"
    """Only there while a guest runs."""
    context: int
    """Its store's context, for calls about resources."""
