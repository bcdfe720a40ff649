"""Pages that got a new owner."""

from pie.inference.columns import Columns
from pie.inference.storage import PageStorage


def clear_fresh_pages(work: Columns, pages: PageStorage) -> None:
    if len(work.fresh_pages):
        pages.clear(work.fresh_pages)
