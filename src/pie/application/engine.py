"""The WebAssembly engine, configured once for everybody, and the clock that cuts guests' time into slices."""

import threading
import time
from typing import Any, Protocol

import wasmtime

from pie.application import abi

TICK_SECONDS = 0.0025
IDLE_TICKS = 200
"""Ticks without a running guest after which the ticker stops ticking."""

WASM_STACK_BYTES = 8 << 20
"""So much that the interpreter in the guest notices a runaway recursion before the sandbox does."""
FIBER_STACK_BYTES = WASM_STACK_BYTES + (2 << 20)
"""Host calls run on the fiber's stack, behind the guest's part. Only touched pages take memory."""
CONFIGURATION = "epochs;memory-reservation=default"
"""What compiled code depends on, beside wasmtime's version; part of the cache's key."""


def make_engine() -> wasmtime.Engine:
    config = wasmtime.Config()
    config.epoch_interruption = True
    address = abi.address(config.ptr())
    abi.config_max_wasm_stack(address, WASM_STACK_BYTES)
    abi.config_async_stack(address, FIBER_STACK_BYTES)
    return wasmtime.Engine(config)


class HasPointer(Protocol):
    def ptr(self) -> Any: ...


def address_of(thing: HasPointer) -> int:
    """The C pointer behind an object of wasmtime-py, which must outlive its use."""
    return abi.address(thing.ptr())


class Ticker:
    """A thread that advances the engine's epoch while guests run; at an epoch a running guest yields.

    It takes the interpreter's lock for an instant each tick, and not at all when nothing runs.
    """

    def __init__(self, engine: wasmtime.Engine, seconds: float = TICK_SECONDS) -> None:
        self._engine = address_of(engine)
        self._seconds = seconds
        self._wanted = threading.Event()
        self._stopped = False
        self._active = False
        self._parked = True
        self._thread = threading.Thread(target=self._run, name="pie-epochs", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopped = True
        self._wanted.set()
        self._thread.join()

    def resume(self) -> None:
        """Guests are about to run."""
        self._active = True
        if self._parked:
            self._wanted.set()

    def pause(self) -> None:
        """No guest runs for now. Ticking goes on for a while: waking the thread costs more than a tick."""
        self._active = False

    def _run(self) -> None:
        while not self._stopped:
            self._parked = True
            if not self._active:  # read after `_parked` is set, so that no `resume` is missed
                self._wanted.wait()
            self._parked = False
            self._wanted.clear()
            self._tick_while_active()

    def _tick_while_active(self) -> None:
        idle = 0
        while idle < IDLE_TICKS and not self._stopped:
            time.sleep(self._seconds)
            abi.increment_epoch(self._engine)
            idle = 0 if self._active else idle + 1
