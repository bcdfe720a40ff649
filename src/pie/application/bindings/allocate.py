"""`pie:inferlet/allocate`: key-value pages and embeddings."""

from collections.abc import Sequence
from typing import NoReturn

from pie.application.guest import Guest
from pie.core.commands import AllocEmbs, AllocPages, CopyPages, ForkPages, FreeEmbs, FreePages, Span
from pie.core.errors import Unavailable
from pie.core.ids import QueueId, VirtualEmb, VirtualPage


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


def fork_kvpage(
    guest: Guest, queue: QueueId, src: Sequence[VirtualPage], dst: Sequence[VirtualPage]
) -> None:
    guest.session.submit(queue, ForkPages(src, dst))


def export_kvpage(guest: Guest, queue: object, pages: object, name: object, life: object, max_bytes: object, about: object) -> NoReturn:
    raise Unavailable("export-kvpage is not built yet")


def import_kvpage(guest: Guest, queue: object, name: object, pages: object) -> NoReturn:
    raise Unavailable("import-kvpage is not built yet")


def unexport_kvpage(guest: Guest, model: object, name: object) -> NoReturn:
    raise Unavailable("unexport-kvpage is not built yet")


def exported_kvpages(guest: Guest, model: object) -> NoReturn:
    raise Unavailable("exported-kvpages is not built yet")


def find_kvpages(guest: Guest, model: object, name: object) -> NoReturn:
    raise Unavailable("find-kvpages is not built yet")


def retain_kvpage(guest: Guest, queue: object, pages: object, ttl_ms: object) -> NoReturn:
    raise Unavailable("retain-kvpage is not built yet")


def demote_kvpage(guest: Guest, queue: object, pages: object) -> NoReturn:
    raise Unavailable("demote-kvpage is not built yet")


def prefetch_kvpage(guest: Guest, queue: object, pages: object) -> NoReturn:
    raise Unavailable("prefetch-kvpage is not built yet")


FUNCTIONS = (kvpage_size, alloc_kvpage, dealloc_kvpage, alloc_emb, dealloc_emb, copy_kvpage, fork_kvpage, export_kvpage, import_kvpage, unexport_kvpage, exported_kvpages, find_kvpages, retain_kvpage, demote_kvpage, prefetch_kvpage,)
