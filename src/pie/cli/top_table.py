"""How `pie top` looks: one line a model, then one a program, as many as fit."""

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from pie.cli.listing import escape, shown_seconds
from pie.cli.top_sample import Model, Program, Sample

STATES = {
    "running": "green", "computing": "yellow", "model": "cyan", "tool": "blue", "suspended": "magenta",
    "starting": "white", "waiting": "white",
}  # fmt: skip
"""In the order of the first line."""
WIDE = 100
"""Columns from which on there is room for more than the most important."""
FRAME = 7
"""Lines beside those of models and programs."""


def render(sample: Sample, url: str, width: int, height: int | None, trouble: str = "") -> RenderableType:
    """`height`: None shows all programs."""
    room = None if height is None else max(1, height - FRAME - len(sample.models) - bool(trouble))
    shown = sample.programs if room is None else sample.programs[:room]
    parts: list[RenderableType] = [_title(sample, url)]
    if trouble:
        parts.append(Text(trouble, style="bold red", no_wrap=True, overflow="ellipsis"))
    parts += [Text(), _models(sample.models, width >= WIDE), Text(), _programs(shown, width >= WIDE)]
    missing = len(sample.programs) - len(shown)
    if missing:
        parts.append(Text(f"... and {missing:,} more (pie top --once shows all)", style="dim"))
    if not sample.programs and not trouble:
        parts.append(Text("no programs: start one with pie run --server URL", style="dim"))
    return Group(*parts)


def _title(sample: Sample, url: str) -> Text:
    line = Text(f"{url}  ", no_wrap=True, overflow="ellipsis")
    line.append(f"{len(sample.programs):,} programs", style="bold")
    for state, style in STATES.items():
        if state in sample.states:
            line.append(f"  {sample.states[state]:,} {state}", style=style)
    line.append(f"  {sample.ended:,} ended", style="dim")
    return line


def _models(models: list[Model], wide: bool) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", expand=True)
    table.add_column("MODEL", no_wrap=True, overflow="ellipsis", ratio=1, min_width=8)
    names = ["TOK/S", "PASS", "BATCH", "QUEUED", "PAGES", "HOST"] + (["PASS/S", "FLIGHT", "SUSP"] * wide)
    for name in names:
        table.add_column(name, justify="right", no_wrap=True)
    for model in models:
        cells = [
            short(model.tokens_per_second), f"{model.pass_ms:.1f} ms", model.batch,
            short(model.queued_commands), f"{short(model.pages)}/{short(model.pages_total)}",
            short(model.host_pages),
        ]  # fmt: skip
        more = [f"{model.passes_per_second:.1f}", str(model.passes_in_flight), str(model.suspended)]
        title = Text(f"{model.name} is down", style="red") if model.down else Text(model.name)
        table.add_row(title, *cells, *(more * wide))
    return table


def _programs(programs: list[Program], wide: bool) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", expand=True)
    table.add_column("ID", no_wrap=True, width=16)
    table.add_column("PROGRAM", no_wrap=True, overflow="ellipsis", ratio=2, min_width=7)
    table.add_column("STATE", no_wrap=True, overflow="ellipsis", ratio=2, min_width=9)
    for name in ["PAGES", "HOST", "TOKENS", "TOK/S", "AGE"] + (["CPU%"] * wide):
        table.add_column(name, justify="right", no_wrap=True)
    if wide:
        table.add_column("TENANT", no_wrap=True, overflow="ellipsis", max_width=12)
    for one in programs:
        table.add_row(
            Text(one.id), Text(one.program), _state(one),
            short(one.pages), short(one.host_pages), short(one.tokens), short(one.tokens_per_second),
            shown_seconds(one.age_seconds), *([f"{one.cpu_percent:.0f}", escape(one.tenant)] * wide),
        )  # fmt: skip
    return table


def _state(one: Program) -> Text:
    what = f"tool: {', '.join(one.tools)}" if one.doing == "tool" and one.tools else one.doing
    return Text(what, style=STATES.get(one.doing, ""))


def short(number: float) -> str:
    """0, 9999, 12.3k, 4.5M."""
    if number >= 999_950:
        return f"{number / 1e6:.1f}M"
    return f"{number / 1e3:.1f}k" if number >= 9_999.5 else f"{number:.0f}"
