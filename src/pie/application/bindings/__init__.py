"""What each call of the contract does: one module for each WIT interface, one small function for each call.

A binding takes the guest and the call's arguments (named as in `wit/pie.wit`) and returns the call's result
or raises a `PieError`; conversions are the linker's business. A test holds names and arguments against the
WIT.
"""

from collections.abc import Mapping
from types import MappingProxyType, ModuleType

from pie.application.bindings import (
    allocate,
    constrain,
    forward,
    futures,
    http,
    input_image,
    input_text,
    introspect,
    output_text,
    runtime,
    sample,
    score,
    source,
    spawning,
    store,
    tokenize,
    topics,
    wasi,
)
from pie.application.hostcall import Binding

PACKAGE = "pie:inferlet"
VERSION = "0.1."
WASI_VERSION = "0.2."


def _functions(module: ModuleType) -> dict[str, Binding]:
    return {function.__name__.replace("_", "-"): function for function in module.FUNCTIONS}


INTERFACES: Mapping[str, Mapping[str, Binding]] = MappingProxyType(
    {
        f"{PACKAGE}/types": {},
        f"{PACKAGE}/allocate": _functions(allocate),
        f"{PACKAGE}/constrain": _functions(constrain),
        f"{PACKAGE}/forward": _functions(forward),
        f"{PACKAGE}/futures": _functions(futures),
        f"{PACKAGE}/http": _functions(http),
        f"{PACKAGE}/input-image": _functions(input_image),
        f"{PACKAGE}/input-text": _functions(input_text),
        f"{PACKAGE}/introspect": _functions(introspect),
        f"{PACKAGE}/output-text": _functions(output_text),
        f"{PACKAGE}/runtime": _functions(runtime),
        f"{PACKAGE}/sample": _functions(sample),
        f"{PACKAGE}/score": _functions(score),
        f"{PACKAGE}/source": _functions(source),
        f"{PACKAGE}/spawning": _functions(spawning),
        f"{PACKAGE}/store": _functions(store),
        f"{PACKAGE}/tokenize": _functions(tokenize),
        f"{PACKAGE}/topics": _functions(topics),
    }
)
"""Our interfaces: the bindings by interface and function."""

WASI: Mapping[str, Mapping[str, Binding]] = MappingProxyType(wasi.INTERFACES)
RESOURCES: Mapping[str, int] = MappingProxyType(wasi.RESOURCES)
"""Numbers of the resource types that WASI bindings make."""


def interface_name(imported: str) -> str:
    """An import's name without its version."""
    return imported.partition("@")[0]


def is_offered(imported: str) -> bool:
    """Whether an interface of this name and version can be had."""
    name, _, version = imported.partition("@")
    if name in INTERFACES:
        return version.startswith(VERSION)
    return name in WASI and version.startswith(WASI_VERSION)
