"""Texts that are read once and then shared: by name, among the programs of a tenant.

    async with memory("manual", build) as context:
        context.fill("How do I reset it?")
        print(await context.generate())

The first program that asks reads the text and publishes its pages; all others map them.
"""

from array import array
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from inferlet import raw
from inferlet.context import Context
from inferlet.errors import InvalidArgument, LimitExceeded, Unavailable, UnknownId
from inferlet.model import Model

Build = Callable[[Context], Awaitable[None] | None]
"""Fills an empty context with the text; may be `async`."""

LEASE_SECONDS = 3600.0


@asynccontextmanager
async def memory(
    name: str,
    build: Build,
    lease_seconds: float | None = LEASE_SECONDS,
    model: Model | str | None = None,
    adapter: str | None = None,
) -> AsyncIterator[Context]:
    """A context that begins with the shared text `name`. What you add to it is your own.

    build: reads the text, if nobody has done that yet (or it has been evicted since).
    lease_seconds: how long it stays when nobody uses it; None: as long as the program that built it.
    The name is all that is compared: for another text take another name, or `forget` the old one first.
    Raises what `build` raises; a full budget for lasting names is no error: the text is not shared then.
    """
    with Context(model, adapter) as context:
        if not recall(context, name):
            built = build(context)
            if built is not None:
                await built
            await publish(context, name, lease_seconds)
        yield context


def recall(context: Context, name: str) -> bool:
    """Makes an empty context begin with a shared text; says whether there is one."""
    if len(context):
        raise InvalidArgument(f"a memory is recalled into an empty context, not one of {len(context)} tokens")
    text = context._text
    found = raw.find_kvpages(context.model.name, _full_name(name, context))
    if found is None:
        return False
    tokens = array("I", found.about).tolist()
    try:
        text.take_import(found.name, found.pages, tokens)
    except (UnknownId, Unavailable):  # gone since
        return False
    return True


async def publish(context: Context, name: str, lease_seconds: float | None = LEASE_SECONDS) -> bool:
    """Shares the text of a context under a name; says whether that worked: somebody may have been faster, or
    the budget for lasting names may be used up."""
    about = array("I", context.tokens).tobytes()
    try:
        await context._text.export(_full_name(name, context), lease_seconds, about)
    except (InvalidArgument, LimitExceeded):
        return False
    return True


def forget(name: str, model: Model | str | None = None, adapter: str | None = None) -> None:
    """Takes a shared text back; contexts that begin with it keep it. Raises `UnknownId` if there is none."""
    found = model if isinstance(model, Model) else Model(model)
    raw.unexport_kvpage(found.name, _named(name, adapter))


def _full_name(name: str, context: Context) -> str:
    return _named(name, context._text.cache.adapter)


def _named(name: str, adapter: str | None) -> str:
    """What an adapter has read is another text."""
    return name if adapter is None else f"{name} ({adapter})"
