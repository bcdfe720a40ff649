"""Where the files that are not modules lie: the WIT, the runner guest's source, the standard inferlets."""

from importlib.util import find_spec
from pathlib import Path

import pie
from pie.core.errors import InternalError

PACKAGED = Path(pie.__file__).parent / "_data"
CHECKOUT = Path(pie.__file__).parents[2]


def folder(packaged: str, in_checkout: str) -> Path:
    """A folder of an installed package, or of a checkout."""
    found = PACKAGED / packaged
    return found if found.is_dir() else CHECKOUT / in_checkout


def wit_folder() -> Path:
    return folder("wit", "wit")


def runner_folder() -> Path:
    return folder("runner", "sdk/runner")


def inferlets_folder() -> Path:
    return folder("inferlets", "inferlets")


def sdk_folder() -> Path:
    """The folder that holds the package `inferlet`, without importing it."""
    spec = find_spec("inferlet")
    if spec is None or spec.origin is None:
        raise InternalError("the package `inferlet` is not installed; run `make setup`")
    return Path(spec.origin).parent.parent
