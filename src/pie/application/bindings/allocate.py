"""`pie:inferlet/allocate`: key-value pages and embeddings."""

from collections.abc import Sequence

from pie.application.guest import Guest
from pie.core.commands import AllocEmbs, AllocPages, CopyPages, ForkPages, FreeEmbs, FreePages, Span
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


FUNCTIONS = (kvpage_size, alloc_kvpage, dealloc_kvpage, alloc_emb, dealloc_emb, copy_kvpage, fork_kvpage)
