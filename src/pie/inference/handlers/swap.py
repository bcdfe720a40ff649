"""Pages of suspended programs go to host memory and come back."""

from pie.inference.columns import Columns
from pie.inference.host_storage import HostStorage
from pie.inference.storage import PageStorage


def swap_pages(work: Columns, pages: PageStorage, host: HostStorage) -> None:
    for page, place in work.swap_outs.tolist():
        host.take(place, pages, page)
    for place, page in work.swap_ins.tolist():
        host.give(place, pages, page)
