"""The options that open the network."""

from typing import Annotated

import typer

AllowHostOption = Annotated[
    list[str] | None,
    typer.Option(
        "--allow-host",
        metavar="HOST",
        help="Programs may talk to it over HTTP: example.org, *.example.org or *, with :PORT for others than "
        "80 and 443; as often as you like [default: none].",
    ),
]
AllowPrivateHostOption = Annotated[
    list[str] | None,
    typer.Option(
        "--allow-private-host",
        metavar="HOST",
        help="The same for a host on this machine or in a private network, such as localhost:3000.",
    ),
]
