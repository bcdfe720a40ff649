"""`pie:inferlet/allocate`: key-value pages and embeddings."""

from collections.abc import Sequence

from pie.application.futures import Future
from pie.application.guest import Guest
from pie.application.hostcall import suspends
from pie.control.hints import HintAnswer
from pie.core.commands import (
    AllocEmbs,
    AllocPages,
    CopyPages,
    Exported,
    ExportPages,
    ForkPages,
    FreeEmbs,
    FreePages,
    ImportPages,
    Span,
)
from pie.core.errors import InvalidArgument
from pie.core.ids import QueueId, VirtualEmb, VirtualPage

Lifetime = tuple[str, float | None]
"""("with-me", None) or ("lease", seconds)."""


def kvpage_size(guest: Guest, model: str) -> int:
    return guest.control.model(model).page_size


def alloc_kvpage(guest: Guest, queue: QueueId, pages: Sequence[VirtualPage]) -> None:
    guest.session.submit(queue, AllocPages(pages))


def dealloc_kvpage(guest: Guest, queue: QueueId, pages: Sequence[VirtualPage]) -> None:
    guest.session.submit(queue, FreePages(pages))


def alloc_emb(guest: Guest, queue: QueueId, embs: Sequence[VirtualEmb]) -> None:
    guest.session.submit(queue, AllocEmbs(embs))


def dealloc_emb(guest: Guest, queue: QueueId, embs: Sequence[VirtualEmb]) -> None:
    guest.session.submit(queue, FreeEmbs(embs))


def copy_kvpage(
    guest: Guest,
    queue: QueueId,
    src: Sequence[VirtualPage],
    dst: Sequence[VirtualPage],
    spans: Sequence[tuple[int, int, int]],
) -> None:
    guest.session.submit(queue, CopyPages(src, dst, [Span(*span) for span in spans]))


def fork_kvpage(guest: Guest, queue: QueueId, src: Sequence[VirtualPage], dst: Sequence[VirtualPage]) -> None:
    guest.session.submit(queue, ForkPages(src, dst))


def export_kvpage(
    guest: Guest,
    queue: QueueId,
    pages: Sequence[VirtualPage],
    name: str,
    life: Lifetime,
    max_bytes: int,
    about: bytes,
) -> None:
    guest.session.submit(queue, ExportPages(pages, name, life[1], max_bytes, about))


def import_kvpage(guest: Guest, queue: QueueId, name: str, pages: Sequence[VirtualPage]) -> None:
    guest.session.submit(queue, ImportPages(name, pages))


def unexport_kvpage(guest: Guest, model: str, name: str) -> None:
    guest.session.exports(model).unexport(name)


def exported_kvpages(guest: Guest, model: str) -> list[Exported]:
    return guest.session.exports(model).list()


def find_kvpages(guest: Guest, model: str, name: str) -> Exported | None:
    return guest.session.exports(model).find(name)


def retain_kvpage(guest: Guest, queue: QueueId, pages: Sequence[VirtualPage], ttl_ms: int) -> HintAnswer:
    return guest.session.hint(queue, "retain", pages, ttl_ms)


def demote_kvpage(guest: Guest, queue: QueueId, pages: Sequence[VirtualPage]) -> HintAnswer:
    return guest.session.hint(queue, "demote", pages)


def prefetch_kvpage(guest: Guest, queue: QueueId, pages: Sequence[VirtualPage]) -> HintAnswer:
    return guest.session.hint(queue, "prefetch", pages)


def on_pressure(guest: Guest, queue: QueueId) -> int:
    guest.futures.check_room()
    future = Future(on_drop=lambda dropped: guest.session.ignore_pressure(queue, dropped))
    guest.session.on_pressure(queue, future)
    return guest.futures.add(future)


@suspends
def take_pressure(guest: Guest, future: int) -> object:
    found = guest.futures.get(future)

    def finish() -> int:
        value = found.result()
        if not isinstance(value, int):
            raise InvalidArgument(f"future {future} has no number of pages: it is not of on_pressure")
        guest.futures.drop((future,))
        return value

    return guest.wait_for(found, finish)


FUNCTIONS = (
    kvpage_size,
    alloc_kvpage,
    dealloc_kvpage,
    alloc_emb,
    dealloc_emb,
    copy_kvpage,
    fork_kvpage,
    export_kvpage,
    import_kvpage,
    unexport_kvpage,
    exported_kvpages,
    find_kvpages,
    retain_kvpage,
    demote_kvpage,
    prefetch_kvpage,
    on_pressure,
    take_pressure,
)
