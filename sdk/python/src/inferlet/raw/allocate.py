"""Trait *allocate*: key-value pages and embeddings, and pages that are published."""

from collections.abc import Iterable
from typing import Any, Literal, NamedTuple

from inferlet.checks import U64_MAX, number, text, unsigned, unsigned_list
from inferlet.futures import Future, Reading
from inferlet.host import bound
from inferlet.interfaces import ExportedRecord
from inferlet.raw.calls import call

HintAnswer = Literal["accepted", "clipped", "deferred", "rejected"]
"""What became of a hint: all of it done; less than asked; later; nothing."""


class Span(NamedTuple):
    """`length` tokens from `src_offset` of the source page to `dst_offset` of the target page."""

    src_offset: int
    dst_offset: int
    length: int


def kvpage_size(model: str) -> int:
    """Tokens in one key-value page."""
    return call(bound.host.allocate.kvpage_size, text("model", model))


def alloc_kvpage(queue: int, pages: Iterable[int]) -> None:
    """Takes fresh, empty pages under the given ids. Fails for an id that is in use."""
    call(bound.host.allocate.alloc_kvpage, unsigned("queue", queue), unsigned_list("pages", pages))


def dealloc_kvpage(queue: int, pages: Iterable[int]) -> None:
    """Gives pages back, when what is queued before has been executed; the ids are free at once."""
    call(bound.host.allocate.dealloc_kvpage, unsigned("queue", queue), unsigned_list("pages", pages))


def alloc_emb(queue: int, embs: Iterable[int]) -> None:
    """Takes embeddings (one holds one token's vector) under the given ids."""
    call(bound.host.allocate.alloc_emb, unsigned("queue", queue), unsigned_list("embs", embs))


def dealloc_emb(queue: int, embs: Iterable[int]) -> None:
    """Gives embeddings back, when what is queued before has been executed."""
    call(bound.host.allocate.dealloc_emb, unsigned("queue", queue), unsigned_list("embs", embs))


def copy_kvpage(queue: int, src: Iterable[int], dst: Iterable[int], spans: Iterable[Span]) -> None:
    """Copies tokens between pages: one span `(src_offset, dst_offset, length)` for each pair."""
    checked = [Span(*unsigned_list("spans", span)) for span in spans]
    call(
        bound.host.allocate.copy_kvpage, unsigned("queue", queue), unsigned_list("src", src),
        unsigned_list("dst", dst), checked,
    )


def fork_kvpage(queue: int, src: Iterable[int], dst: Iterable[int]) -> None:
    """Each of `dst` (new ids) shares the page of its `src` until one of the two is written."""
    call(
        bound.host.allocate.fork_kvpage, unsigned("queue", queue), unsigned_list("src", src),
        unsigned_list("dst", dst),
    )


def export_kvpage(
    queue: int, pages: Iterable[int], name: str, lease_seconds: float | None = None, max_bytes: int = 0,
    about: bytes = b"",
) -> None:
    """Publishes pages, as they stand when everything queued before has been executed, under a name.

    lease_seconds: how long the name lives, even when the program has ended; None: as long as the program.
    max_bytes: the most that it may take of the budget for lasting names; 0: what there is.
    about: anything; whoever finds the name can read it (the library keeps the tokens there).
    A snapshot: a later write by the owner copies first. A name in use is an error.
    """
    host = bound.host.allocate
    life: Any = host.Lifetime_WithMe()
    if lease_seconds is not None:
        life = host.Lifetime_Lease(number("lease_seconds", lease_seconds))
    call(
        host.export_kvpage, unsigned("queue", queue), unsigned_list("pages", pages), text("name", name), life,
        unsigned("max_bytes", max_bytes, U64_MAX), bytes(memoryview(about)),
    )


def import_kvpage(queue: int, name: str, pages: Iterable[int]) -> None:
    """Maps the pages of a name, read-only and in order, to new ids: as many as it has (`find_kvpages`)."""
    call(
        bound.host.allocate.import_kvpage, unsigned("queue", queue), text("name", name),
        unsigned_list("pages", pages),
    )


def unexport_kvpage(model: str, name: str) -> None:
    """Takes a name back. Programs that have mapped its pages keep them."""
    call(bound.host.allocate.unexport_kvpage, text("model", model), text("name", name))


def exported_kvpages(model: str) -> list[ExportedRecord]:
    """Everything that is published in this tenant's namespace."""
    return call(bound.host.allocate.exported_kvpages, text("model", model))


def find_kvpages(model: str, name: str) -> ExportedRecord | None:
    """What is published under a name; None if there is nothing."""
    found: ExportedRecord | None = call(
        bound.host.allocate.find_kvpages, text("model", model), text("name", name)
    )
    return found


def retain_kvpage(queue: int, pages: Iterable[int], ttl_ms: int) -> HintAnswer:
    """Asks to keep pages on the device for `ttl_ms` milliseconds, even when the program idles."""
    return _answer(
        call(
            bound.host.allocate.retain_kvpage, unsigned("queue", queue), unsigned_list("pages", pages),
            unsigned("ttl_ms", ttl_ms, U64_MAX),
        )
    )


def demote_kvpage(queue: int, pages: Iterable[int]) -> HintAnswer:
    """Says that pages may leave the device: they will not be read soon."""
    return _answer(
        call(bound.host.allocate.demote_kvpage, unsigned("queue", queue), unsigned_list("pages", pages))
    )


def prefetch_kvpage(queue: int, pages: Iterable[int]) -> HintAnswer:
    """Asks to bring pages back to the device: they will be read soon."""
    return _answer(
        call(bound.host.allocate.prefetch_kvpage, unsigned("queue", queue), unsigned_list("pages", pages))
    )


def on_pressure(queue: int) -> Future[int]:
    """The number of pages that others need, once the pages of the queue's model run short while this program
    has some. It has a moment to give pages back, then it may be suspended. Each call tells once."""
    future = call(bound.host.allocate.on_pressure, unsigned("queue", queue))
    return Reading(future, bound.host.allocate.take_pressure)


def _answer(value: Any) -> HintAnswer:
    answer: HintAnswer = value.name.lower()
    return answer
