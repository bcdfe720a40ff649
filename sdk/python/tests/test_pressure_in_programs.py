"""Programs that are told when pages run short."""

import asyncio

from inferlet import Context, on_pressure
from inferlet.runner import run_in_loop
from inferlet.testing import FakeHost


def test_a_program_is_told_how_many_pages_others_need_and_gives_some_back() -> None:
    async def main() -> list[int]:
        kept = [Context() for _ in range(3)]
        for context in kept:
            context.fill("something that takes more than a page")
            await context.flush()
        told = []
        async for missing in on_pressure():
            told.append(missing)
            kept.pop().close()
            if len(kept) == 1:
                break
        before = len(host.pages)
        kept.pop().close()
        assert len(host.pages) == 0 < before
        return told

    with FakeHost() as host:
        host.shortages.extend([2, 3])
        assert run_in_loop(main()) == [2, 3]


def test_waiting_for_pressure_does_not_keep_the_program_from_other_things() -> None:
    async def watch() -> None:
        async for _ in on_pressure():
            raise AssertionError

    async def main() -> str:
        task = asyncio.create_task(watch())
        with Context() as context:
            context.fill("abc")
            text = await context.generate(2)
        task.cancel()
        return text

    with FakeHost():
        assert run_in_loop(main()) == "de"
