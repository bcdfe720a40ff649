"""Copies and page masks."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from pie.control.batch import Batch, Placer
from pie.control.claims import Claims
from pie.control.ticket import Entry
from pie.control.work import CopyWork, MaskWork


def place_copy(batch: Batch, entry: Entry, work: CopyWork) -> bool:
    claims = Claims(batch)
    for src, dst in zip(work.src, work.dst, strict=True):
        if not (claims.copy_from(src) and claims.copy_to(dst)):
            return False
    if not claims.settle(entry.queue):
        return False
    copies = batch.columns.copies
    for src, dst, span in zip(work.src, work.dst, work.spans, strict=True):
        if span.length and src.physical is not None and dst.physical is not None:
            copies += (src.physical, span.src_offset, dst.physical, span.dst_offset, span.length)
            batch.touched.pages_changed.add(dst.physical)
    return True


def place_mask(batch: Batch, entry: Entry, work: MaskWork) -> bool:
    claims = Claims(batch)
    if not (claims.copy_to(work.page) and claims.settle(entry.queue)):
        return False
    page = work.page.physical
    if page is not None:
        batch.columns.page_masks += (page, work.visible)
        batch.touched.pages_masked.add(page)
        batch.touched.pages_changed.add(page)
    return True


PLACERS: Mapping[type[Any], Placer] = MappingProxyType({CopyWork: place_copy, MaskWork: place_mask})
