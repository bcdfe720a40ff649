"""Commands that give, take, copy and hide memory, and synchronize."""

from collections.abc import Mapping
from types import MappingProxyType

from pie.control.addresses import AddressSpace
from pie.control.bounds import Bounds, Check
from pie.control.work import CopyWork, ForkWork, FreeWork, MaskWork, SyncWork
from pie.core.commands import (
    AllocEmbs,
    AllocPages,
    Completion,
    CopyPages,
    ForkPages,
    FreeEmbs,
    FreePages,
    MaskPage,
    Span,
    Synchronize,
)
from pie.core.errors import InvalidArgument


def alloc_pages(bounds: Bounds, space: AddressSpace, command: AllocPages, _: Completion | None) -> None:
    bounds.check_length("alloc_kvpage", command.pages)
    space.pages.add(command.pages)


def alloc_embs(bounds: Bounds, space: AddressSpace, command: AllocEmbs, _: Completion | None) -> None:
    bounds.check_length("alloc_emb", command.embs)
    space.embs.add(command.embs)


def free_pages(bounds: Bounds, space: AddressSpace, command: FreePages, _: Completion | None) -> FreeWork:
    bounds.check_length("dealloc_kvpage", command.pages)
    return FreeWork(len(command.pages), "pages", space.pages.remove(command.pages))


def free_embs(bounds: Bounds, space: AddressSpace, command: FreeEmbs, _: Completion | None) -> FreeWork:
    bounds.check_length("dealloc_emb", command.embs)
    return FreeWork(len(command.embs), "embs", space.embs.remove(command.embs))


def copy_pages(
    bounds: Bounds, space: AddressSpace, command: CopyPages, _: Completion | None
) -> CopyWork | None:
    src, dst, spans = command
    if not len(src) == len(dst) == len(spans):
        raise InvalidArgument(
            f"copy_kvpage: {len(src)} src, {len(dst)} dst and {len(spans)} spans: "
            "give one of each for every copy"
        )
    bounds.check_length("copy_kvpage", src)
    for span in spans:
        _check_span(span, bounds.page_size)
    sources, targets = space.pages.find(src), space.pages.find(dst)
    bounds.check_writable("copy_kvpage", targets)
    return CopyWork(sources, targets, spans, 5 * len(src)) if src else None


def _check_span(span: Span, page_size: int) -> None:
    src_offset, dst_offset, length = span
    if min(span) < 0 or max(src_offset, dst_offset) + length > page_size:
        raise InvalidArgument(
            f"copy_kvpage: {length} tokens from offset {src_offset} to offset {dst_offset} leave a page "
            f"of {page_size} tokens"
        )


def fork_pages(
    bounds: Bounds, space: AddressSpace, command: ForkPages, _: Completion | None
) -> ForkWork | None:
    src, dst = command
    if len(src) != len(dst):
        raise InvalidArgument(f"fork_kvpage: {len(src)} src, {len(dst)} dst: give one new page for each")
    bounds.check_length("fork_kvpage", src)
    sources = space.pages.find(src)
    return ForkWork(2 * len(src), sources, space.pages.add(dst)) if src else None


def mask_page(bounds: Bounds, space: AddressSpace, command: MaskPage, _: Completion | None) -> MaskWork:
    page, visible = command
    lease = space.pages.find((page,))[0]
    if not 0 <= visible < 1 << bounds.page_size:
        raise InvalidArgument(
            f"mask_kvpage: {visible:#x} has bits for more than the {bounds.page_size} tokens of a page"
        )
    bounds.check_writable("mask_kvpage", (lease,))
    signed = visible - (1 << 32) if visible >= 1 << 31 else visible
    return MaskWork(lease, signed)


def synchronize(
    bounds: Bounds, space: AddressSpace, command: Synchronize, completion: Completion | None
) -> SyncWork:
    del bounds, space, command
    return SyncWork(1, completion)


CHECKS: Mapping[type, Check] = MappingProxyType(
    {
        AllocPages: alloc_pages,
        AllocEmbs: alloc_embs,
        FreePages: free_pages,
        FreeEmbs: free_embs,
        CopyPages: copy_pages,
        ForkPages: fork_pages,
        MaskPage: mask_page,
        Synchronize: synchronize,
    }
)
