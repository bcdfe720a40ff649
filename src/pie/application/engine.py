"""The WebAssembly engine, configured once for everybody."""

from typing import Any, Protocol

import wasmtime

from pie.application import abi

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
