"""Options that several verbs share, and settings made from those that were given."""

from collections.abc import Mapping
from difflib import get_close_matches
from tomllib import TOMLDecodeError
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
        raise InvalidArgument(explain(error.errors()[0])) from None
    except TOMLDecodeError as error:
        raise InvalidArgument(f"pie.toml does not parse: {error}") from None


def explain(error: Mapping[str, Any]) -> str:
    name = ".".join(map(str, error["loc"])) or "settings"
    if error["type"] != "extra_forbidden":
        return f"setting {name} = {error['input']!r}: {error['msg']}"
    close = get_close_matches(name, Settings.model_fields, n=1)
    return f"pie.toml has an unknown setting {name}" + (f": did you mean {close[0]}?" if close else "")
