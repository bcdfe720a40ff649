"""Pages of suspended programs go to host memory or disk, and come back."""

import numpy as np

from pie.core.passes import FaultKind, RowFault
from pie.inference.columns import Columns
from pie.inference.disk_storage import PageLost
from pie.inference.host_storage import HostStorage
from pie.inference.storage import PageStorage


def swap_pages(work: Columns, pages: PageStorage, host: HostStorage, faults: list[RowFault]) -> None:
    """A page that cannot be brought back is empty, and `faults` says why."""
    for page, place in work.swap_outs.tolist():
        host.take(place, pages, page)
    for row, (place, page) in enumerate(work.swap_ins.tolist()):
        try:
            host.give(place, pages, page)
        except PageLost as error:
            pages.clear(np.array([page], np.int32))
            faults.append(RowFault(FaultKind.SWAP_IN, row, str(error)))
