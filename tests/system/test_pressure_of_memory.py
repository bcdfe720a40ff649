"""The real model with a quarter of the pages that its programs need."""

import asyncio
from pathlib import Path

import pytest
from whole import GREEDY, Whole

from pie.launch import open_stack
from pie.settings import Settings

TOKENS = 30
PROGRAMS = 8


@pytest.mark.parametrize(("host_pages", "disk_pages"), [(100, 0), (4, 100)], ids=["host", "disk"])
async def test_programs_that_do_not_fit_together_all_give_the_tokens_they_give_alone(
    host_pages: int, disk_pages: int, tmp_path: Path
) -> None:
    settings = Settings(
        pages=6, host_pages=host_pages, disk_pages=disk_pages, swap_dir=tmp_path, precision="int8"
    )
    async with open_stack(settings) as stack:
        whole = Whole(stack)
        asked = [("--prompt", f"Chapter {n}. The", "--max-tokens", str(TOKENS)) for n in range(PROGRAMS)]
        alone = [await whole.result(GREEDY, *args) for args in asked]
        together = await asyncio.gather(*(whole.result(GREEDY, *args) for args in asked))
        assert together == alone
        (model,) = stack.control.statistics().models.values()
        assert model.suspensions > 0
        await whole.settle()
        (model,) = stack.control.statistics().models.values()
        assert (model.pages.free, model.pages.swapped) == (6, 0)
        stack.control.check_integrity()
    assert is_empty(tmp_path)


def is_empty(folder: Path) -> bool:
    return not list(folder.iterdir())
