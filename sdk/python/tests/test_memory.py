"""Shared texts: read once, mapped by everybody after."""

import pytest

from inferlet import Context, memory, raw
from inferlet.errors import UnknownId
from inferlet.memory import forget, publish, recall
from inferlet.runner import run_in_loop
from inferlet.testing import FakeHost, Tenant, scripted

MANUAL = "The manual says: press the red button. " * 7
ANSWERS = scripted({MANUAL + "How?": " So.", MANUAL + "Why?": " Thus."})


async def ask(question: str, length: int = len(MANUAL)) -> str:
    async with memory("manual", lambda context: context.fill(MANUAL[:length])) as context:
        context.fill(question)
        return await context.generate(9)


@pytest.mark.parametrize("length", [*range(len(MANUAL) - 20, len(MANUAL) + 1)])
def test_a_second_program_does_not_read_the_text_again(length: int) -> None:
    tenant = Tenant()
    answers = scripted({MANUAL[:length] + "How?": " So.", MANUAL[:length] + "Why?": " Thus."})
    with FakeHost(answers, tenant=tenant) as first:
        assert run_in_loop(ask("How?", length)) == " So."
        assert first.pages == set()
    with FakeHost(answers, tenant=tenant) as second:
        assert [run_in_loop(ask("Why?", length)), run_in_loop(ask("How?", length))] == [" Thus.", " So."]
        assert second.calls.count("forward") == 2
        assert second.calls.count("import_kvpage") == 2
        assert second.pages == set()


def test_the_builder_may_be_async() -> None:
    async def build(context: Context) -> None:
        context.fill("abc")
        await context.generate(2)

    async def main() -> list[str]:
        found = []
        for _ in range(2):
            async with memory("alphabet", build) as context:
                found.append(context.text)
        return found

    with FakeHost():
        assert run_in_loop(main()) == ["abcde", "abcde"]


def test_somebody_else_may_be_faster() -> None:
    async def main() -> None:
        with Context() as first, Context() as second:
            first.fill("abc")
            second.fill("xyz")
            assert await publish(first, "text")
            assert not await publish(second, "text")
            assert await second.generate(3) == "abc"

    with FakeHost():
        run_in_loop(main())


def test_a_forgotten_memory_is_built_again() -> None:
    async def main() -> None:
        with Context() as context:
            context.fill("abc")
            await publish(context, "text")
        forget("text")
        with Context() as context:
            assert not recall(context, "text")

    with FakeHost():
        run_in_loop(main())
        with pytest.raises(UnknownId, match="text"):
            forget("text")


def test_what_an_adapter_has_read_is_another_memory() -> None:
    async def main() -> None:
        with Context(adapter="pirate") as context:
            context.fill("abc")
            await publish(context, "text")
        assert [found.name for found in raw.exported_kvpages("fake")] == ["text (pirate)"]
        with Context() as context:
            assert not recall(context, "text")

    with FakeHost(adapters={"pirate": scripted({})}):
        run_in_loop(main())


def test_a_recalled_text_survives_a_failure_of_its_queue() -> None:
    async def main(host: FakeHost) -> str:
        with Context() as context:
            context.fill(MANUAL)
            await publish(context, "manual")
        with Context() as context:
            assert recall(context, "manual")
            context.fill("How?")
            host.fail_next("lost")
            with pytest.raises(Exception, match="lost"):
                await context.flush()
            return await context.generate(9)

    with FakeHost(ANSWERS) as host:
        assert run_in_loop(main(host)) == " So."
