"""Hiding and showing tokens of cached pages."""

from pie.inference.columns import Columns
from pie.inference.storage import PageStorage


def mask_pages(work: Columns, pages: PageStorage) -> None:
    for page, bits in work.page_masks.tolist():
        pages.show(page, bits)
