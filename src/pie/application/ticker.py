"""The clock that cuts guests' time into slices: at an epoch of the engine, a running guest yields.

A timer of the system calls wasmtime's function itself, so no Python runs for a tick and nobody needs the
interpreter's lock, which the running guest may hold. (A thread that ticked in Python took a fifth of the
host's time while programs streamed.) It is armed only while guests run, and its first tick comes late: most
turns are over by then, and a tick costs some 60 µs on a thread that the C library makes for it.
"""

import ctypes
import time
from ctypes import POINTER, byref, c_char, c_int, c_long, c_void_p

import wasmtime

from pie.application import abi
from pie.application.engine import address_of

FIRST_TICK_SECONDS = 0.004
TICK_SECONDS = 0.002
UNDER_WAY_SECONDS = 0.01
"""By then a tick that had begun when the timer was deleted is over."""
CLOCK_MONOTONIC = 1
SIGEV_THREAD = 2

_c = ctypes.CDLL(None, use_errno=True)


class _Event(ctypes.Structure):
    """`struct sigevent`: call a function with a value, on a thread of the C library's."""

    _fields_ = (
        ("value", c_void_p), ("signal", c_int), ("notify", c_int), ("function", c_void_p),
        ("attributes", c_void_p), ("rest", c_char * 32),
    )  # fmt: skip


class _Times(ctypes.Structure):
    """`struct itimerspec`."""

    _fields_ = (
        ("interval_seconds", c_long), ("interval_ns", c_long), ("seconds", c_long), ("ns", c_long),
    )  # fmt: skip


_create, _set, _delete = _c.timer_create, _c.timer_settime, _c.timer_delete
_create.argtypes = (c_int, POINTER(_Event), POINTER(c_void_p))
_set.argtypes = (c_void_p, c_int, c_void_p, c_void_p)
_delete.argtypes = (c_void_p,)


class Ticker:
    """Advances the engine's epoch between `resume` and `pause`, after `FIRST_TICK_SECONDS` and then every
    `TICK_SECONDS`. Linux only."""

    def __init__(self, engine: wasmtime.Engine) -> None:
        self._engine = engine
        self._running = _Times(0, int(TICK_SECONDS * 1e9), 0, int(FIRST_TICK_SECONDS * 1e9))
        self._stopped = _Times()
        self._on, self._off = ctypes.addressof(self._running), ctypes.addressof(self._stopped)
        self._timer = c_void_p()

    def start(self) -> None:
        """Raises `OSError` where the system has no timer left."""
        event = _Event(address_of(self._engine), 0, SIGEV_THREAD, abi.address(abi.increment_epoch))
        if _create(CLOCK_MONOTONIC, byref(event), byref(self._timer)):
            raise OSError(ctypes.get_errno(), "timer_create failed")

    def stop(self) -> None:
        _delete(self._timer)
        time.sleep(UNDER_WAY_SECONDS)

    def resume(self) -> None:
        """Guests are about to run."""
        _set(self._timer, 0, self._on, None)

    def pause(self) -> None:
        """No guest runs for now."""
        _set(self._timer, 0, self._off, None)
