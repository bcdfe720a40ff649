"""Options that several verbs share, and settings made from those that were given."""

from typing import Annotated, Any

import typer
from pydantic import ValidationError

from pie.core.errors import InvalidArgument
from pie.settings import Settings

ServerOption = Annotated[
    str | None,
    typer.Option(
        "--server", metavar="URL", envvar="PIE_SERVER", help="The server [default: this machine's]."
    ),
]
KeyOption = Annotated[
    str | None, typer.Option("--api-key", metavar="KEY", envvar="PIE_API_KEY", help="The server's API key.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def load_settings(**given: Any) -> Settings:
    """Those that are None come from the environment, `pie.toml` or the defaults. Raises InvalidArgument."""
    try:
        return Settings(**{name: value for name, value in given.items() if value is not None})
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(map(str, first["loc"])) or "settings"
        raise InvalidArgument(f"setting {name} = {first['input']!r}: {first['msg']}") from None
