"""Token-granular copies between pages."""

from pie.core.passes import Pass
from pie.inference.batch import rows
from pie.inference.storage import PageStorage


def copy_tokens(work: Pass, pages: PageStorage) -> None:
    """One after the other: a later copy sees what an earlier one wrote."""
    for source, source_offset, target, target_offset, length in rows(work.copies, 5).tolist():
        if length:
            size = pages.page_size
            pages.copy(source * size + source_offset, target * size + target_offset, length)
