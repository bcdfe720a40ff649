"""Long forwards, split over passes so that others need not wait for all of them (chunked prefill).

A program must not be able to tell. The parts of a split forward see each other through the pages that they
write, so it takes: no mask; every input stored; positions that ascend, or an earlier part would not see what
it should of a later one; and nothing old in the pages behind the first, which later parts would not hide yet.
"""

from itertools import pairwise

from pie.control.leases import Absence, EmbLease, PageLease
from pie.control.work import EmbedWork, ForwardWork


def can_split(work: ForwardWork, embed: EmbedWork | None) -> bool:
    """`embed`: what the forward's queue has put into embeddings right before, in the same pass."""
    if work.mask is not None or not work.writes or not (work.ascending or ascends(work, embed)):
        return False
    first, *others = work.writes
    return (is_empty(first) or first in work.reads) and all(map(is_empty, others))


def ascends(work: ForwardWork, embed: EmbedWork | None) -> bool:
    if embed is None or embed.embs != work.inputs:
        return False
    return all(before < after for before, after in pairwise(embed.positions))


def is_empty(page: PageLease) -> bool:
    return page.physical is None and page.absence is Absence.EMPTY


def split(work: ForwardWork, count: int, page_size: int) -> tuple[ForwardWork, ForwardWork]:
    """The first `count` inputs, and the others, which see them in the pages. `work` stays as it is."""
    end = work.offset + count
    written, behind = work.writes[: -(-end // page_size)], work.writes[end // page_size :]
    reads = work.reads + [page for page in written if page not in work.reads]
    return (
        part(work, work.reads, work.inputs[:count], written, work.offset, 0),
        part(work, reads, work.inputs[count:], behind, end % page_size, count),
    )


def part(
    work: ForwardWork, reads: list[PageLease], inputs: list[EmbLease], writes: list[PageLease], offset: int,
    first: int,
) -> ForwardWork:  # fmt: skip
    rows = range(first, first + len(inputs))
    chosen = [(row - first, emb) for row, emb in zip(work.rows, work.outputs, strict=True) if row in rows]
    outputs, places = [emb for _, emb in chosen], [row for row, _ in chosen]
    return ForwardWork(
        reads, inputs, writes, offset, outputs, places, None, work.size, work.adapter, ascending=True
    )
