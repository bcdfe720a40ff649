"""The real model with a quarter of the pages that its programs need."""

import asyncio

from whole import GREEDY, Whole

from pie.launch import open_stack
from pie.settings import Settings

TOKENS = 30
PROGRAMS = 8


async def test_programs_that_do_not_fit_together_all_give_the_tokens_they_give_alone() -> None:
    async with open_stack(Settings(pages=6, host_pages=100, precision="int8")) as stack:
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
