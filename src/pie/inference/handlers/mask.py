"""Hiding and showing tokens of cached pages."""

from pie.core.passes import Pass
from pie.inference.batch import rows
from pie.inference.storage import PageStorage


def mask_pages(work: Pass, pages: PageStorage) -> None:
    for page, bits in rows(work.page_masks, 2).tolist():
        pages.show(page, bits)
