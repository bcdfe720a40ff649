"""The option that loads LoRA adapters."""

from typing import Annotated

import typer

from pie.core.errors import InvalidArgument

AdapterOption = Annotated[
    list[str] | None,
    typer.Option(
        "--adapter", metavar="NAME=FOLDER", help="Load a LoRA adapter in PEFT's files; as often as you like."
    ),
]


def read_adapters(given: list[str] | None) -> dict[str, str] | None:
    """Folders by name; None where none are given. Raises InvalidArgument."""
    pairs = [pair.partition("=") for pair in given or ()]
    for name, _, folder in pairs:
        if not (name and folder):
            raise InvalidArgument(f"--adapter {name} is not NAME=FOLDER, as in --adapter french=./french")
    return {name: folder for name, _, folder in pairs} or None
