"""`pie serve`: the whole stack behind HTTP and WebSocket."""

import asyncio
import sys
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Annotated

import typer

from pie import __version__
from pie.cli.adapters import AdapterOption, read_adapters
from pie.cli.hosts import AllowHostOption, AllowPrivateHostOption
from pie.cli.loop import run_async
from pie.cli.options import load_settings
from pie.cli.progress import BarProgress
from pie.serving import serving
from pie.settings import Settings

app = typer.Typer(rich_markup_mode="markdown", add_completion=False)


@app.command()
def serve(
    model: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="A model to serve [default: the default model]; as often as you like, the first one is "
            "what programs get that name none.",
        ),
    ] = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on [default: 127.0.0.1].")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on, 0 for any [default: 8642].")] = None,
    api_key: Annotated[
        str | None,
        typer.Option(
            metavar="KEY", help="Clients must bring this key. As PIE_API_KEY it does not show in listings."
        ),
    ] = None,
    insecure: Annotated[
        bool | None,
        typer.Option("--insecure", help="Allow other addresses than this machine's without a key."),
    ] = None,
    policy: Annotated[
        str | None,
        typer.Option(help="When to send a batch: adaptive, t-only, k-only, eager [default: adaptive]."),
    ] = None,
    precision: Annotated[
        str | None, typer.Option(help="Of products: auto, int4, int8, fp32, bf16 [default: auto].")
    ] = None,
    kv_precision: Annotated[
        str | None, typer.Option(help="Of keys and values: auto, fp32, int8 [default: auto].")
    ] = None,
    device: Annotated[
        str | None, typer.Option(help="Where the model runs: cpu, cuda, cuda:N [default: cpu].")
    ] = None,
    cuda_graphs: Annotated[
        bool | None, typer.Option("--cuda-graphs", help="Launch decoding as one CUDA graph; on a GPU only.")
    ] = None,
    threads: Annotated[int | None, typer.Option(help="Threads of the driver [default: all cores].")] = None,
    pages: Annotated[int | None, typer.Option(help="Key-value pages [default: 4096].")] = None,
    host_pages: Annotated[
        int | None,
        typer.Option(help="Pages of suspended programs in host memory; 0: never suspend [default: 8192]."),
    ] = None,
    disk_pages: Annotated[
        int | None, typer.Option(help="Such pages on disk, when host memory is full [default: 0].")
    ] = None,
    swap_dir: Annotated[
        Path | None, typer.Option(help="Folder for those [default: swap in Pie's home].")
    ] = None,
    adapter: AdapterOption = None,
    instances: Annotated[int | None, typer.Option(help="Programs at once, at most [default: 2048].")] = None,
    launch_queue: Annotated[
        int | None, typer.Option(help="Launches that may wait for their turn [default: 1024].")
    ] = None,
    allow_host: AllowHostOption = None,
    allow_private_host: AllowPrivateHostOption = None,
    store: Annotated[
        str | None,
        typer.Option(help="Where programs' stored values live: durable, memory [default: durable]."),
    ] = None,
    record: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Record all that leads to decisions, for pie replay.")
    ] = None,
    grace_seconds: Annotated[
        float | None, typer.Option(help="Time for running programs to end at shutdown [default: 5].")
    ] = None,
) -> None:
    """Start a server. Every option can also be a `PIE_...` variable or a line of `pie.toml`.

    Ctrl-C or SIGTERM stops it: no new programs, a time of grace for the running ones, then they are
    cancelled. A second Ctrl-C ends it at once.

    **Examples**

    - `pie serve`

    - `pie serve --port 9000 --model my-model`

    - `pie serve --model smollm2-135m-instruct --model gemma-3-270m`, each with a driver of its own

    - `pie serve --adapter french=./adapters/french` for programs that use `forward_with_adapter`

    - `pie serve --allow-host "*.wikipedia.org"` lets programs talk to those hosts over HTTPS and HTTP

    - `pie serve --record today.pie`, and `pie replay today.pie` when something strange has happened

    - `PIE_API_KEY=secret pie serve --host 0.0.0.0` for other machines

    - `curl http://127.0.0.1:8642/readyz` tells whether it can start a program now, or why not
    """
    settings = load_settings(
        model=model[0] if model else None,
        more_models=tuple(model[1:]) if model else None,
        host=host,
        port=port,
        api_key=api_key,
        insecure=insecure,
        policy=policy,
        precision=precision,
        kv_precision=kv_precision,
        device=device,
        cuda_graphs=cuda_graphs,
        threads=threads,
        pages=pages,
        host_pages=host_pages,
        disk_pages=disk_pages,
        swap_dir=swap_dir,
        adapters=read_adapters(adapter),
        instances=instances,
        launch_queue=launch_queue,
        allow_hosts=allow_host,
        allow_private_hosts=allow_private_host,
        store=store,
        record=record,
        grace_seconds=grace_seconds,
    )
    run_async(serve_until_stopped(settings))


async def serve_until_stopped(settings: Settings) -> None:
    """Until cancelled by a signal."""
    async with AsyncExitStack() as cleanup:
        with BarProgress("Starting") as progress:
            url = await cleanup.enter_async_context(serving(settings, progress))
        served = ", ".join(dict.fromkeys((settings.model, *settings.more_models)))
        note = f"pie {__version__} serves {served} at {url} (stop it with Ctrl-C)"
        print(note, file=sys.stderr, flush=True)
        await asyncio.Event().wait()
