"""Would a driver start at once, or first prepare weights and compile? Asked without torch, by `pie setup`."""

from collections.abc import Mapping
from pathlib import Path

from pie.inference.kernels.build import Builder, NoKernels
from pie.inference.layout import VERSION
from pie.inference.settings import InferenceSettings

FORMS: Mapping[str, tuple[str, ...]] = {
    "auto": ("int4", "int8", "int8-rows", "fp32"),
    "int8": ("int8", "int8-rows"),
}
"""Forms of prepared weights that a precision may need, where that is not its own name."""


def is_ready(home: Path, digest: str, settings: InferenceSettings) -> bool:
    """Only a hint: the driver itself checks what it finds, whenever it starts."""
    names = FORMS.get(settings.precision, (settings.precision,))
    folders = (home / "prepared" / f"{digest[:32]}-{name}-v{VERSION}" for name in names)
    return has_kernels(home, settings) and any(folder.exists() for folder in folders)


def has_kernels(home: Path, settings: InferenceSettings) -> bool:
    """Also true where there is nothing to build them with."""
    if settings.kernels == "torch":
        return True
    try:
        return Builder(Path(settings.kernels_folder or home / "kernels")).place().exists()
    except NoKernels:
        return True
