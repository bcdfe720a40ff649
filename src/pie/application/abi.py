"""The C functions of libwasmtime that the wheel's own bindings do not wrap, declared by hand.

The library is loaded a second time for declarations of our own: function objects of one `CDLL` are shared,
and those of `wasmtime-py` expect its classes. Everything here takes and gives raw addresses (`int`), so
that a host call makes no ctypes objects.

A component value (`wasmtime_component_val_t`) is 32 bytes: a tag in the first byte, its payload from byte 8.
"""

import ctypes
from collections.abc import Callable
from ctypes import CFUNCTYPE, c_bool, c_char_p, c_int64, c_size_t, c_uint32, c_uint64, c_void_p
from struct import Struct
from typing import Any

import wasmtime._ffi as stock

VAL_SIZE = 32
PAYLOAD = 8
RECORD_ENTRY_SIZE = 48
"""A field's name (16 bytes) and then its value."""
RECORD_ENTRY_VALUE = 16
NAME_SIZE = 16
"""Size and data."""

BOOL, S8, U8, S16, U16, S32, U32, S64, U64, F32, F64, CHAR = range(12)
STRING, LIST, RECORD, TUPLE, VARIANT, ENUM, OPTION, RESULT, FLAGS, RESOURCE = range(12, 22)

HOST_CALL = CFUNCTYPE(c_void_p, c_void_p, c_void_p, c_void_p, c_void_p, c_size_t, c_void_p, c_size_t)
"""(data, context, type, arguments, count, results, count) -> error or NULL."""
ASYNC_HOST_CALL = CFUNCTYPE(
    None, c_void_p, c_void_p, c_void_p, c_void_p, c_size_t, c_void_p, c_size_t, c_void_p, c_void_p
)
"""As `HOST_CALL`, with an error out-pointer and a continuation (`CONTINUATION_LAYOUT`) to fill."""
CONTINUATION = CFUNCTYPE(c_bool, c_void_p)
"""(data) -> whether the suspended host call has its results."""
ADDRESS_SPACE = 1 << 48
CONTINUATION_LAYOUT = Struct("<QQQ")
"""Callback, data, finalizer (or NULL)."""
DESTRUCTOR = CFUNCTYPE(c_void_p, c_void_p, c_void_p, c_uint32)
"""(data, context, number of the resource) -> error or NULL."""

memory = memoryview((ctypes.c_ubyte * ADDRESS_SPACE).from_address(0)).cast("B")
"""The whole address space: `struct` and slices on it read and write at an address in a tenth of a
microsecond, where a `ctypes` call takes half of one. Whoever uses it vouches for the address."""

_library = ctypes.CDLL(stock.dll._name)
_brief = ctypes.PyDLL(stock.dll._name)


def _declare(name: str, result: Any, *arguments: Any) -> Callable[..., Any]:
    """A function that lets go of the interpreter's lock while it runs."""
    return _declare_in(_library, name, result, *arguments)


def _declare_brief(name: str, result: Any, *arguments: Any) -> Callable[..., Any]:
    """A function that is over before the lock could be taken: it keeps it."""
    return _declare_in(_brief, name, result, *arguments)


def _declare_in(library: ctypes.CDLL, name: str, result: Any, *arguments: Any) -> Callable[..., Any]:
    function = getattr(library, name)
    function.restype = result
    function.argtypes = arguments
    return function  # type: ignore[no-any-return]


config_max_wasm_stack = _declare_brief("wasmtime_config_max_wasm_stack_set", None, c_void_p, c_size_t)
config_async_stack = _declare_brief("wasmtime_config_async_stack_size_set", None, c_void_p, c_uint64)

# Linking: (linker instance, name, length, callback, data, finalizer) -> error
linker_add_func = _declare(
    "wasmtime_component_linker_instance_add_func",
    c_void_p,
    c_void_p,
    c_char_p,
    c_size_t,
    HOST_CALL,
    c_void_p,
    c_void_p,
)
linker_add_func_async = _declare(
    "wasmtime_component_linker_instance_add_func_async",
    c_void_p,
    c_void_p,
    c_char_p,
    c_size_t,
    ASYNC_HOST_CALL,
    c_void_p,
    c_void_p,
)
linker_add_resource = _declare(
    "wasmtime_component_linker_instance_add_resource",
    c_void_p,
    c_void_p,
    c_char_p,
    c_size_t,
    c_void_p,
    DESTRUCTOR,
    c_void_p,
    c_void_p,
)

# Stores: everything of one guest
store_new = _declare("wasmtime_store_new", c_void_p, c_void_p, c_void_p, c_void_p)
store_context = _declare_brief("wasmtime_store_context", c_void_p, c_void_p)
store_delete = _declare("wasmtime_store_delete", None, c_void_p)
store_limiter = _declare_brief("wasmtime_store_limiter", None, c_void_p, *([c_int64] * 5))
"""(store, bytes of memory, table elements, instances, tables, memories); -1 is no limit."""
set_epoch_deadline = _declare_brief("wasmtime_context_set_epoch_deadline", None, c_void_p, c_uint64)
yield_at_epochs = _declare_brief(
    "wasmtime_context_epoch_deadline_async_yield_and_update", None, c_void_p, c_uint64
)
"""Returns nothing, whatever wasmtime-py declares."""
increment_epoch = _declare_brief("wasmtime_engine_increment_epoch", None, c_void_p)

# Calls as fibers; each returns a call future, which must be polled and deleted
instantiate_async = _declare("wasmtime_component_linker_instantiate_async", c_void_p, *([c_void_p] * 5))
"""(linker, context, component, instance out, error out)."""
instance_get_func = _declare_brief("wasmtime_component_instance_get_func", c_bool, *([c_void_p] * 4))
"""(instance, context, export index, function out) -> found."""
call_async = _declare(
    "wasmtime_component_func_call_async",
    c_void_p,
    c_void_p,
    c_void_p,
    c_void_p,
    c_size_t,
    c_void_p,
    c_size_t,
    c_void_p,
)
"""(function, context, arguments, count, results, count, error out)."""
future_poll = _declare("wasmtime_call_future_poll", c_bool, c_void_p)
future_delete = _declare("wasmtime_call_future_delete", None, c_void_p)

# Values
val_delete = _declare("wasmtime_component_val_delete", None, c_void_p)
val_new = _declare_brief("wasmtime_component_val_new", c_void_p, c_void_p)
"""Moves the value at an address into a box of its own."""
list_new = _declare_brief("wasmtime_component_vallist_new_uninit", None, c_void_p, c_size_t)
tuple_new = _declare_brief("wasmtime_component_valtuple_new_uninit", None, c_void_p, c_size_t)
record_new = _declare_brief("wasmtime_component_valrecord_new_uninit", None, c_void_p, c_size_t)
bytes_new = _declare_brief("wasm_byte_vec_new", None, c_void_p, c_size_t, c_char_p)
"""(byte vector out: size and data, length, bytes to copy)."""
bytes_delete = _declare_brief("wasm_byte_vec_delete", None, c_void_p)

# Resources
resource_new = _declare_brief("wasmtime_component_resource_host_new", c_void_p, c_bool, c_uint32, c_uint32)
"""(owned, number, type) -> host resource."""
resource_delete = _declare_brief("wasmtime_component_resource_host_delete", None, c_void_p)
resource_number = _declare_brief("wasmtime_component_resource_host_rep", c_uint32, c_void_p)
resource_to_any = _declare_brief("wasmtime_component_resource_host_to_any", *([c_void_p] * 4))
resource_from_any = _declare_brief("wasmtime_component_resource_any_to_host", *([c_void_p] * 4))
"""(context, resource, out) -> error."""

# Errors
error_new = _declare_brief("wasmtime_error_new", c_void_p, c_char_p)
error_message = _declare_brief("wasmtime_error_message", None, c_void_p, c_void_p)
error_delete = _declare_brief("wasmtime_error_delete", None, c_void_p)


def address(pointer: Any) -> int:
    """The address in one of wasmtime-py's pointer objects."""
    return ctypes.cast(pointer, c_void_p).value or 0


def take_error(error: int) -> str:
    """The message of an error, which is then gone."""
    vector = (c_size_t * 2)()
    address = ctypes.addressof(vector)
    error_message(error, address)
    text = ctypes.string_at(vector[1], vector[0]).decode(errors="replace")
    bytes_delete(address)
    error_delete(error)
    return text
