"""The part of the standard library that programs can import."""

import importlib
import pkgutil
import sys

LEFT_OUT = frozenset([
    "antigravity", "ensurepip", "idlelib", "lib2to3", "multiprocessing", "nt", "ntpath", "pydoc_data", "test",
    "this", "tkinter", "turtle", "turtledemo", "venv",
])
"""Windows, screens, processes, installers, jokes."""


def load() -> None:
    """Imports every module that can be imported in a sandbox at all."""
    for name in sorted(sys.stdlib_module_names - LEFT_OUT):
        if not name.startswith("_") and _import(name):
            _import_submodules(name)


def _import_submodules(name: str) -> None:
    path = getattr(sys.modules[name], "__path__", None)
    if path is None:
        return
    for found in pkgutil.walk_packages(path, f"{name}.", onerror=lambda _: None):
        if not {"test", "tests", "__main__"} & set(found.name.split(".")):
            _import(found.name)


def _import(name: str) -> bool:
    try:
        importlib.import_module(name)
    except Exception:
        return False
    return True
