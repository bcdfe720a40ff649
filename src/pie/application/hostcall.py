"""A host function as wasmtime calls it: addresses in, arguments to Python, the binding, its result back.

Nothing is looked up by name or type while a program runs: for each imported function a small wrapper is
generated once, when a component is linked, with the layout of exactly its arguments.

No exception leaves a host function. A `PieError` (or a `Refused`) becomes the error value of the function's
result; anything else is our bug: it is kept with the guest, logged, and shows as an `internal` error.
Functions that cannot fail by their type end the program instead.
"""

import ctypes
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from struct import Struct
from types import CodeType
from typing import Any, NamedTuple

from pie.application import abi
from pie.application.abi import memory
from pie.application.lift import Lift, lift
from pie.application.lower import Lower, lower, refuse
from pie.application.stage import Stage
from pie.application.suspension import SUSPENDED
from pie.application.types import EnumOf, RecordOf, ResultOf, Signature
from pie.core.errors import BadProgram, InternalError, PieError

Binding = Callable[..., Any]
"""Takes the guest and the arguments, gives the result (without its `result<...>`), raises `PieError`."""

Failed = Callable[[Any, BaseException, int], int | None]
"""(guest, fault, address of the results) -> a trap to end the program with, or None."""


NOT_PERMITTED = ("not-permitted", "access-denied", "access", "not-supported", "unsupported")
"""Error codes of WASI functions for what a sandbox lacks."""


class Refused(Exception):
    """The error value of a WASI function's result."""

    def __init__(self, value: Any) -> None:
        super().__init__(value)
        self.value = value


class ErrorValue(NamedTuple):
    """The contract's record `error`."""

    kind: str
    message: str


@dataclass(frozen=True, slots=True)
class HostCall:
    """What the linker registers. `callback` is referenced by C code: it must live as long as the linker."""

    callback: Any
    suspends: bool


def suspends(binding: Binding) -> Binding:
    """Marks a binding that may return `SUSPENDED` instead of a value."""
    binding.suspends = True  # type: ignore[attr-defined]
    return binding


def shown_name(function: str) -> str:
    """A function of the contract as programs call it, others with their interface: for timelines."""
    interface, _, name = function.replace("-", "_").rpartition("#")
    return name if interface.startswith("pie:") else f"{interface.rpartition('/')[2]}.{name}".lstrip(".")


def parameters(binding: Binding) -> tuple[str, ...]:
    """Names of a binding's arguments as WIT spells them, without the guest."""
    return tuple(name.replace("_", "-") for name in list(inspect.signature(binding).parameters)[1:])


class HostCalls:
    """Makes the C callbacks of bindings. One for a stage."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._resume = abi.CONTINUATION(self._resumed)
        address = ctypes.cast(self._resume, ctypes.c_void_p).value
        self._continuation = abi.CONTINUATION_LAYOUT.pack(address, 0, 0)

    def make(self, name: str, binding: Binding, signature: Signature) -> HostCall:
        """The callback for a function of this signature. Raises `UnknownType`."""
        write = None if signature.result is None else lower(signature.result, self._stage)
        return self._make(name, binding, signature, write)

    def _make(self, name: str, binding: Binding, signature: Signature, write: Lower | None) -> HostCall:
        may_suspend = getattr(binding, "suspends", False)
        lifts = [lift(type, self._stage) for _, type in signature.params]
        names: dict[str, Any] = {
            "stage": self._stage,
            "binding": binding,
            "lower": write,
            "SUSPENDED": SUSPENDED,
            "failed": _failure(name, signature, self._stage),
            "memory": memory,
            "later": self._continuation,
            "put_error": _put_error,
            "name": shown_name(name),
        }
        lines = _lines(lifts, names, write is not None, may_suspend)
        exec(compiled("\n".join(lines)), names)
        make = abi.ASYNC_HOST_CALL if may_suspend else abi.HOST_CALL
        return HostCall(make(names["call"]), may_suspend)

    def refusal(self, name: str, signature: Signature) -> HostCall:
        """The callback of a function that the sandbox does not have: "not permitted", or the end.

        Its arguments are read all the same, because borrowed resources must be given back.
        """
        fault = _not_permitted(name, signature)

        def refuse(*arguments: Any) -> None:
            del arguments
            raise fault.with_traceback(None)

        return self._make(name, refuse, signature, None)

    def _resumed(self, data: int | None) -> bool:
        """Asked whenever a fiber that waits in a host call is polled."""
        del data
        guest = self._stage.guest
        answer = guest.suspension.resume(guest)
        if answer is not False and guest.trace is not None:
            guest.trace.waiting = ""
        if answer:
            abi.error_delete(answer)  # too late for a trap: the runtime ends the guest after this poll
        return answer is not False


def _not_permitted(name: str, signature: Signature) -> Exception:
    err = signature.result.err if isinstance(signature.result, ResultOf) else None
    for refused in NOT_PERMITTED:
        if isinstance(err, EnumOf) and refused in err.names:
            return Refused(refused)
    return BadProgram(f"the program called {name}, which the sandbox does not have")


@cache
def compiled(source: str) -> CodeType:
    """Functions of like signatures are one source: compiling each would be a tenth of a server's start."""
    return compile(source, "<host call>", "exec")


def _lines(lifts: list[Lift], names: dict[str, Any], has_result: bool, may_suspend: bool) -> list[str]:
    more = ", error, continuation" if may_suspend else ""
    call = f"binding(guest{_arguments(lifts, names)})"
    return [
        f"def call(data, context, type, arguments, count, results, result_count{more}):",
        "    guest = stage.guest",
        "    guest.host_calls += 1",
        "    trace = guest.trace",
        "    began = 0.0 if trace is None else trace.now()",
        "    try:",
        *_unpacking(lifts, names),
        *_outcome(call, has_result, may_suspend),
        "    except BaseException as fault:",
        "        if trace is not None:",
        "            trace.call(name + ': failed', began)",
        "        trap = failed(guest, fault, results)",
        "        put_error(error, trap)" if may_suspend else "        return trap",
        "    memory[continuation:continuation + 24] = later" if may_suspend else "    return None",
    ]


def _unpacking(lifts: list[Lift], names: dict[str, Any]) -> list[str]:
    """One `struct` call for all arguments."""
    if not lifts:
        return []
    packed = Struct("<" + "".join(lift.layout for lift in lifts))
    names["unpack"] = packed.unpack_from
    values = [f"v{i}_{j}" for i, lift in enumerate(lifts) for j in range(lift.width)]
    return [f"        {', '.join(values)}, = unpack(memory, arguments)"]


def _arguments(lifts: list[Lift], names: dict[str, Any]) -> str:
    parts = []
    for i, each in enumerate(lifts):
        values = ", ".join(f"v{i}_{j}" for j in range(each.width))
        names[f"convert{i}"] = each.convert
        parts.append(values if each.convert is None else f"convert{i}({values})")
    return "".join(f", {part}" for part in parts)


def _outcome(call: str, has_result: bool, may_suspend: bool) -> list[str]:
    note = ["if trace is not None:", "    trace.call(name, began)"]
    if not may_suspend:
        return [f"        {line}" for line in (f"lower(results, {call})" if has_result else call, *note)]
    answer = ["lower(results, value)"] if has_result else []
    return [
        f"        value = {call}",
        "        if value is SUSPENDED:",
        "            guest.suspension.answers(lower, failed, results)",
        "            if trace is not None:",
        "                trace.waiting = trace.waiting or name",
        "        else:",
        *(f"            {line}" for line in (*answer, *note)),
    ]


def _put_error(address: int, trap: int | None) -> None:
    if trap:
        ctypes.c_uint64.from_address(address).value = trap


def _failure(name: str, signature: Signature, stage: Stage) -> Failed:
    """What a host function does with an exception: an error value where its type has one, else a trap."""
    result = signature.result
    has_error = isinstance(result, ResultOf)
    write = refuse(result, stage) if isinstance(result, ResultOf) else None
    speaks_pie = isinstance(result, ResultOf) and isinstance(result.err, RecordOf)

    def failed(guest: Any, fault: BaseException, results: int) -> int | None:
        if isinstance(fault, Refused) and has_error and write:
            write(results, fault.value)
            return None
        if not isinstance(fault, PieError):
            guest.broke(name, fault)
            fault = InternalError(f"{name} failed on the server: {type(fault).__name__}: {fault}")
        if speaks_pie and write:
            write(results, ErrorValue(fault.kind, str(fault)))
            return None
        guest.doom(fault)
        trap: int = abi.error_new(str(fault).encode())
        return trap

    return failed
