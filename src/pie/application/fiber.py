"""One guest's sandbox as a fiber: its store, and the call of `run` that is polled until it ends."""

import ctypes
from collections.abc import Callable
from dataclasses import dataclass

from pie.application import abi
from pie.application.linked import Linked
from pie.application.rehearsal import Vacancy
from pie.application.stage import Stage

INSTANCE, FUNCTION, ERROR, RESULT, END = 0, 16, 48, 64, 96
"""Offsets of what wasmtime writes for us."""
MOST_TABLE_ELEMENTS = 1 << 20
MOST_INSTANCES = 1000
MOST_MEMORIES = 4
"""The memory limit holds for each."""
SLICE_EPOCHS = 2
"""A guest yields after at least one whole tick, at most two."""
START_EPOCHS = 12
"""The first time it may run for longer: many programs are done by then, and so do not stay half done."""


@dataclass(frozen=True, slots=True)
class Returned:
    """`run` came to its end."""

    ok: bool
    text: str


@dataclass(frozen=True, slots=True)
class Trapped:
    """The sandbox stopped the program; the message is wasmtime's."""

    message: str


class Fiber:
    """Polled by the runtime. `outcome` is there once `poll` has returned True; `close` frees everything.

    It may be made and rehearsed on another thread than the one that polls it later.
    """

    __slots__ = (
        "_address",
        "_bury",
        "_call",
        "_linked",
        "_running",
        "_slice",
        "_slots",
        "_store",
        "context",
        "outcome",
        "vacancy",
    )

    def __init__(
        self, engine: int, linked: Linked, memory_bytes: int, bury: Callable[[int], None] = abi.store_delete
    ) -> None:
        """Makes the store and begins to instantiate; nothing of the guest runs yet. `bury` frees a store."""
        self._linked = linked
        self._bury = bury
        self._slots = (ctypes.c_uint64 * (END // 8))()
        self._address = ctypes.addressof(self._slots)
        self._running = False
        self._slice = START_EPOCHS
        self.outcome: Returned | Trapped | None = None
        self.vacancy: Vacancy | None = None
        """Where it waits for a program, after `rehearse`."""
        self._store: int = abi.store_new(engine, None, None)
        abi.store_limiter(self._store, memory_bytes, MOST_TABLE_ELEMENTS, MOST_INSTANCES, -1, MOST_MEMORIES)
        self.context: int = abi.store_context(self._store)
        abi.yield_at_epochs(self.context, SLICE_EPOCHS)
        self._call: int = abi.instantiate_async(
            linked.linker, self.context, linked.component, self._address + INSTANCE, self._address + ERROR
        )

    def instantiate(self) -> bool:
        """Does what comes before the guest's own code; whether that went well. `outcome` says why not."""
        while self._call and not self._step():
            pass
        return self.outcome is None

    def rehearse(self, stage: Stage) -> bool:
        """Runs the guest until it waits for its program; whether that went well. `outcome` says why not."""
        vacancy = Vacancy()
        stage.guest, stage.context = vacancy, self.context
        while not (vacancy.waits or vacancy.doomed or self.poll()):
            pass
        self._slice = START_EPOCHS
        self.vacancy = vacancy
        return vacancy.waits

    def poll(self) -> bool:
        """Runs the guest until it waits, yields or ends; True when it has ended."""
        while self.outcome is None:
            if not self._call:
                self._enter()
            if not self._step():
                self._slice = SLICE_EPOCHS
                return False
        return True

    def _step(self) -> bool:
        """Polls the current call; whether it is over."""
        abi.set_epoch_deadline(self.context, self._slice)
        if not abi.future_poll(self._call):
            return False
        abi.future_delete(self._call)
        self._call = 0
        error = self._slots[ERROR // 8]
        if error:
            self.outcome = Trapped(abi.take_error(error))
        elif self._running:
            self.outcome = self._read_result()
        return True

    def close(self) -> None:
        """Unwinds the guest wherever it is, and frees its memory. Not while it is being polled."""
        if self._call:
            abi.future_delete(self._call)
            self._call = 0
        if self._store:
            self._bury(self._store)
            self._store = 0

    def _enter(self) -> None:
        self._running = True
        start = self._address
        abi.instance_get_func(start + INSTANCE, self.context, self._linked.run, start + FUNCTION)
        self._call = abi.call_async(start + FUNCTION, self.context, None, 0, start + RESULT, 1, start + ERROR)

    def _read_result(self) -> Returned:
        address = self._address + RESULT
        ok, text = self._linked.read_result(address)
        abi.val_delete(address)
        return Returned(ok, text)
