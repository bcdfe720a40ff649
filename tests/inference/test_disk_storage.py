"""Pages on disk: what comes back is what was put there, or an error."""

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pie.core.errors import Unavailable
from pie.inference.disk_storage import BACKLOG, DiskStorage, PageLost

SIZE = 1000


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[DiskStorage]:
    storage = DiskStorage(tmp_path / "swap")
    yield storage
    storage.close()


@contextmanager
def no_file_larger_than(size: int) -> Iterator[None]:
    """For this process, as on a disk that is full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def page(number: int) -> bytes:
    return bytes((number + i) % 256 for i in range(SIZE))


def test_what_is_put_somewhere_comes_back_in_any_order_and_places_are_used_again(disk: DiskStorage) -> None:
    for number in range(2 * BACKLOG):
        disk.put(number, SIZE, page(number))
    for number in reversed(range(2 * BACKLOG)):
        assert disk.take(number, SIZE) == page(number)
    disk.put(3, SIZE, page(7)[:10])
    disk.put(3, SIZE, page(8))
    assert disk.take(3, SIZE) == page(8)


def test_nothing_comes_from_where_nothing_was_put(disk: DiskStorage) -> None:
    disk.put(1, SIZE, page(1))
    disk.take(1, SIZE)
    with pytest.raises(LookupError):
        disk.take(1, SIZE)


def test_the_file_has_no_name_so_it_cannot_be_left_behind(disk: DiskStorage, tmp_path: Path) -> None:
    disk.put(0, SIZE, page(0))
    disk.sync()
    assert list((tmp_path / "swap").iterdir()) == []


def test_a_damaged_page_is_lost_and_its_neighbours_are_not(disk: DiskStorage) -> None:
    for number in range(3):
        disk.put(number, SIZE, page(number))
    disk.sync()
    os.pwrite(disk.file.fileno(), b"!", SIZE + 500)
    assert disk.take(0, SIZE) == page(0)
    with pytest.raises(PageLost, match="not what was written"):
        disk.take(1, SIZE)
    assert disk.take(2, SIZE) == page(2)


def test_a_file_that_has_become_shorter_has_lost_its_last_pages(disk: DiskStorage) -> None:
    disk.put(0, SIZE, page(0))
    disk.put(1, SIZE, page(1))
    disk.sync()
    os.ftruncate(disk.file.fileno(), SIZE + 1)
    assert disk.take(0, SIZE) == page(0)
    with pytest.raises(PageLost):
        disk.take(1, SIZE)


def test_what_does_not_fit_on_the_disk_is_lost_and_everything_else_is_kept(disk: DiskStorage) -> None:
    with no_file_larger_than(2 * SIZE + 10):
        for number in range(4):
            disk.put(number, SIZE, page(number))
        disk.sync()
    assert disk.take(1, SIZE) == page(1)
    with pytest.raises(PageLost, match="the disk: File too large"):
        disk.take(2, SIZE)
    disk.put(2, SIZE, page(9))
    assert disk.take(2, SIZE) == page(9)


def test_a_folder_that_cannot_be_written_is_an_error_at_once_that_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Unavailable, match="--swap-dir"):
        DiskStorage(tmp_path / "file")
