"""Whose turn it is: which guest a host call comes from."""

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pie.application.guest import Guest
    from pie.application.rehearsal import Vacancy


class Stage(threading.local):
    """Set around each poll of a fiber, by whoever polls; host calls read it. Guests run on the event loop's
    thread only, but spare sandboxes get ready on another."""

    guest: "Guest | Vacancy"
    """Only there while a guest runs."""
    context: int
    """Its store's context, for calls about resources."""
