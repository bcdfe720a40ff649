"""Pages that got a new owner."""

from pie.core.passes import Pass
from pie.inference.batch import column
from pie.inference.storage import PageStorage


def clear_fresh_pages(work: Pass, pages: PageStorage) -> None:
    if work.fresh_pages:
        pages.clear(column(work.fresh_pages))
