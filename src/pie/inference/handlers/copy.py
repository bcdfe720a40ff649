"""Token-granular copies between pages."""

from pie.inference.columns import Columns
from pie.inference.storage import PageStorage


def copy_tokens(work: Columns, pages: PageStorage) -> None:
    """One after the other: a later copy sees what an earlier one wrote."""
    for source, source_offset, target, target_offset, length in work.copies.tolist():
        if length:
            size = pages.page_size
            pages.copy(source * size + source_offset, target * size + target_offset, length)
