"""Contexts on the fake host, whose pages hold tokens and whose inputs may see no position twice."""

import asyncio
import gc

import pytest

from inferlet import Context, Dist, Model, PromptLookup, Sampler, raw
from inferlet.errors import ContextFull, InvalidArgument, OutOfResources
from inferlet.runner import run_in_loop
from inferlet.testing import FakeHost, scripted
from inferlet.testing.pages import ErrorKind, HostError
from inferlet.testing.runtime import ModelRecord

pytestmark = pytest.mark.usefixtures("host")


def generate(context: Context, max_tokens: int = 5) -> str:
    return run_in_loop(context.generate(max_tokens))


def test_it_continues_the_text() -> None:
    context = Context()
    context.fill("abc")
    assert generate(context) == "defgh"
    assert context.text == "abcdefgh"
    assert context.stop_reason == "max_tokens"


def test_it_goes_on_where_it_stopped() -> None:
    context = Context()
    context.fill("abc")
    assert generate(context) + generate(context) == "defghijklm"


def test_text_may_be_filled_in_between() -> None:
    context = Context()
    context.fill("abc")
    generate(context)
    context.fill(" the letter m")
    assert generate(context, 3) == "nop"


@pytest.mark.parametrize("length", [1, 15, 16, 17, 255, 256, 257, 700])
def test_a_prompt_of_any_length_is_seen_whole(length: int) -> None:
    prompt = "ab" * (length // 2) + "a" * (length % 2)
    with FakeHost(scripted({prompt: "right"})):
        context = Context()
        context.fill(prompt)
        assert generate(context, 9) == "right"


def test_a_long_prompt_takes_a_bounded_number_of_embeddings(host: FakeHost) -> None:
    most = 0

    def count(dist: Dist) -> int:
        nonlocal most
        most = max(most, len(host.embs))
        return dist.max_index()

    context = Context()
    context.fill("a" * 1500)
    run_in_loop(context.generate(2, count))
    assert most <= 2
    assert host.calls.count("forward") == 7


@pytest.mark.parametrize("length", [1, 5, 16, 300])
def test_a_context_that_waits_keeps_two_embeddings(host: FakeHost, length: int) -> None:
    """One for an input and one for an output: what decoding one by one needs, so that it allocates none."""
    context = Context()
    context.fill("ab" * length)
    run_in_loop(context.flush())
    assert len(host.embs) <= 2
    generate(context, 3)
    assert len(host.embs) == 2
    run_in_loop(context.generate(9, speculator=PromptLookup()))
    assert len(host.embs) == 2


def test_an_adapter_that_is_not_there_changes_nothing() -> None:
    context = Context()
    context.fill("abc")
    with pytest.raises(InvalidArgument, match="no adapter 'nope'; there are: none"):
        run_in_loop(context.generate(2, adapter="nope"))
    assert generate(context, 2) == "de"


def test_no_embedding_is_allocated_for_a_token_that_is_picked_by_hand(host: FakeHost) -> None:
    context = Context()
    context.fill("abc")
    run_in_loop(context.generate(2, lambda dist: dist.max_index()))
    host.calls.clear()
    run_in_loop(context.generate(9, lambda dist: dist.max_index()))
    assert not {"alloc_emb", "dealloc_emb"} & set(host.calls)


def test_decoding_with_a_sampler_takes_four_calls_for_many_tokens(host: FakeHost) -> None:
    context = Context()
    context.fill("abc")
    generate(context, 1)
    host.calls.clear()
    generate(context, 12)
    assert host.calls == ["embed_txt", "forward", "decode_ahead", "take_tokens"]


def test_streaming_wakes_the_program_for_each_token_and_begins_with_a_short_run(host: FakeHost) -> None:
    async def stream(context: Context) -> list[int]:
        return [token async for token in context.stream_tokens(20)]

    context = Context()
    context.fill("abc")
    generate(context, 1)
    host.calls.clear()
    run_in_loop(stream(context))
    first = ["embed_txt", "forward", "decode_ahead", *["take_tokens"] * 4]
    then = ["embed_txt", "forward", "alloc_kvpage", "decode_ahead", *["take_tokens"] * 16]
    assert host.calls == first + then


@pytest.mark.usefixtures("host")
@pytest.mark.parametrize("first", [1, 3, 20])
@pytest.mark.parametrize("second", [1, 2, 17, 70])
def test_a_greedy_run_is_the_same_as_step_by_step(first: int, second: int) -> None:
    async def stream(context: Context, count: int) -> list[int]:
        return [token async for token in context.stream_tokens(count)]

    run, steps = Context(), Context()
    for context in (run, steps):
        context.fill("once upon a time")
    for count in (first, second):
        generate(run, count)
        run.fill("!")
        run_in_loop(stream(steps, count))
        steps.fill("!")
    assert run.tokens == steps.tokens
    assert generate(run, 30) == generate(steps, 30)


def test_it_ends_at_the_models_stop_token() -> None:
    with FakeHost(scripted({"Hi": " there"})):
        context = Context()
        context.fill("Hi")
        assert generate(context, 50) == " there"
        assert context.stop_reason == "stop_token"
        assert context.text == "Hi there"


def test_it_ends_at_a_stop_token_of_the_caller() -> None:
    context = Context()
    context.fill("abc")
    assert run_in_loop(context.generate(50, stop_tokens=[ord("g")])) == "def"


def test_it_ends_before_a_stop_string() -> None:
    context = Context()
    context.fill("abc")
    assert run_in_loop(context.generate(50, stop=["klx", "ij"])) == "defgh"
    assert context.stop_reason == "stop_string"


async def pieces_of(context: Context, max_tokens: int, stop: str = "") -> list[str]:
    return [piece async for piece in context.stream(max_tokens, stop=stop)]


def test_the_stream_gives_the_same_text_in_pieces() -> None:
    context = Context()
    context.fill("abc")
    assert run_in_loop(pieces_of(context, 11)) == list("defghijklmn")


def test_the_stream_never_splits_a_character() -> None:
    with FakeHost(scripted({"?": "né €😀!"})):
        context = Context()
        context.fill("?")
        assert run_in_loop(pieces_of(context, 50)) == ["n", "é", " ", "€", "😀", "!"]


def test_a_stream_may_be_left_early_and_the_context_used_again() -> None:
    async def main() -> str:
        context = Context()
        context.fill("abc")
        async for _ in context.stream(50):
            break
        return await context.generate(3)

    assert run_in_loop(main()) == "efg"


def test_the_same_seed_gives_the_same_text() -> None:
    def draw(seed: int) -> str:
        context = Context()
        context.fill("abc")
        return run_in_loop(context.generate(40, Sampler(1.0, seed=seed)))

    assert draw(1) == draw(1) != draw(2)


def test_a_function_can_pick_the_token() -> None:
    context = Context()
    context.fill("abc")
    assert run_in_loop(context.generate(3, lambda dist: dist.top(2)[1][0])) == "egi"


@pytest.mark.parametrize("wrong", [-1, 10**6, "a", None, 1.5])
def test_a_picked_token_outside_the_vocabulary_is_refused(wrong: int) -> None:
    context = Context()
    context.fill("abc")
    with pytest.raises(InvalidArgument, match="a sampler returns a token from 0 to"):
        run_in_loop(context.generate(3, lambda _: wrong))


def test_a_fork_goes_its_own_way() -> None:
    async def main() -> list[str]:
        trunk = Context()
        trunk.fill("abc" * 10)
        left, right = trunk.fork(), trunk.fork()
        left.fill("m")
        return list(await asyncio.gather(left.generate(5), right.generate(5), trunk.generate(5)))

    assert run_in_loop(main()) == ["nopqr", "defgh", "defgh"]


def test_forks_do_not_compute_the_prompt_again(host: FakeHost) -> None:
    async def main() -> None:
        trunk = Context()
        trunk.fill("abc" * 300)
        forks = [trunk.fork() for _ in range(4)]
        await asyncio.gather(*(fork.generate(1) for fork in forks))

    run_in_loop(main())
    assert host.calls.count("forward") == 4 + 4


def test_a_fork_of_a_fork_that_has_not_run_yet_works() -> None:
    async def main() -> list[str]:
        trunk = Context()
        trunk.fill("abc" * 10)
        child = trunk.fork()
        child.fill("x")
        grandchild = child.fork()
        grandchild.fill("k")
        return list(await asyncio.gather(grandchild.generate(3), child.generate(3), trunk.generate(3)))

    assert run_in_loop(main()) == ["lmn", "yza", "def"]


def test_a_fork_after_generation_needs_no_synchronisation(host: FakeHost) -> None:
    async def main() -> str:
        context = Context()
        context.fill("abc")
        await context.generate(3)
        return await context.fork().generate(3)

    assert run_in_loop(main()) == "ghi"
    assert "synchronize" not in host.calls


def test_a_fork_at_a_stop_token_continues_like_the_original() -> None:
    async def main() -> tuple[str, str]:
        context = Context()
        context.fill("Hi")
        await context.generate(9)
        other = context.fork()
        other.fill("?")
        return await other.generate(9), await context.generate(9)

    with FakeHost(scripted({"Hi": " there", "Hi there?": " yes"})):
        assert run_in_loop(main()) == (" yes", "")


@pytest.mark.parametrize("length", [0, 1, 15, 16, 17, 20, 31, 32, 33, 40])
def test_trimmed_tokens_are_never_seen_again(length: int) -> None:
    prompt = "".join(chr(ord("a") + i % 26) for i in range(40))
    with FakeHost(scripted({prompt[:length] + "#!": "ok"})):
        context = Context()
        context.fill(prompt)
        generate(context, 1)
        context.trim(length)
        context.fill("#!")
        assert generate(context, 9) == "ok"


def test_after_a_trim_it_continues_from_there() -> None:
    context = Context()
    context.fill("abcdefgh")
    generate(context)
    context.trim(3)
    assert generate(context) == "defgh"


def test_trim_refuses_more_than_there_is() -> None:
    context = Context()
    context.fill("abc")
    with pytest.raises(InvalidArgument, match="from 0 to 3, not 4"):
        context.trim(4)


def test_a_conversation_keeps_what_it_has_computed() -> None:
    async def main(host: FakeHost) -> tuple[str, str, int]:
        context = Context()
        messages = [{"role": "user", "content": "Hi" * 200}]
        context.fill_chat(messages)
        first = await context.generate(20)
        host.calls.clear()
        messages += [{"role": "assistant", "content": first}, {"role": "user", "content": "And?"}]
        context.fill_chat(messages)
        second = await context.generate(20)
        return first, second, host.calls.count("forward")

    replies = {"<|im_end|>\n<|im_start|>assistant\n": "yes"}
    with FakeHost(scripted(replies)) as host:
        assert run_in_loop(main(host)) == ("yes", "yes", 1)


def test_closing_gives_everything_back(host: FakeHost) -> None:
    async def main() -> None:
        with Context() as context:
            context.fill("abc" * 100)
            await context.generate(20)
            with context.fork() as fork:
                await fork.generate(20)

    run_in_loop(main())
    assert host.pages == host.embs == set()


def test_a_fork_closed_before_it_ran_gives_everything_back(host: FakeHost) -> None:
    context = Context()
    context.fill("abc" * 100)
    fork = context.fork()
    fork.close()
    context.close()
    assert host.pages == host.embs == set()


def test_a_forgotten_context_gives_everything_back_at_the_next_one(host: FakeHost) -> None:
    context = Context()
    context.fill("abc" * 100)
    generate(context)
    del context
    gc.collect()
    with Context():
        assert host.pages == host.embs == set()


def test_names_and_queues_are_used_again(host: FakeHost) -> None:
    for _ in range(10):
        with Context() as context:
            context.fill("abc" * 10)
            generate(context, 30)
            pages = host.pages
    assert max(pages) - min(pages) < 10
    assert context.queue == 1


def test_a_closed_context_says_so() -> None:
    context = Context()
    context.close()
    with pytest.raises(InvalidArgument, match="closed"):
        context.fill("x")


def test_an_empty_context_has_nothing_to_continue() -> None:
    with pytest.raises(InvalidArgument, match="empty"):
        generate(Context())


def test_more_text_than_the_model_can_see_is_refused() -> None:
    context = Context()
    context.fill("x" * 2000)
    with pytest.raises(ContextFull, match="49 more tokens do not fit: the context holds 2000 of the 2048"):
        context.fill("x" * 49)
    context.fill("x" * 48)


def test_generation_ends_where_the_model_can_see_no_more() -> None:
    context = Context()
    context.fill("a" * 2040)
    assert len(generate(context, 100)) == 8
    assert context.stop_reason == "context_length"
    with pytest.raises(ContextFull):
        generate(context)


def test_a_beginning_token_goes_before_a_first_text_only() -> None:
    with FakeHost(models=[ModelRecord(bos_token=256)]):
        context = Context()
        context.fill("a")
        context.fill("b")
        assert context.tokens == [256, ord("a"), ord("b")]


def test_two_tasks_on_one_context_are_told_to_fork() -> None:
    async def main() -> None:
        context = Context()
        context.fill("abc")
        await asyncio.gather(context.generate(5), context.generate(5))

    with pytest.raises(RuntimeError, match="fork"):
        run_in_loop(main())


def test_flush_computes_what_was_filled(host: FakeHost) -> None:
    async def main() -> None:
        context = Context()
        context.fill("abc")
        await context.flush()
        assert host.calls[-2:] == ["synchronize", "wait"]
        host.calls.clear()
        assert await context.generate(1) == "d"

    run_in_loop(main())
    assert "forward" not in host.calls


def test_a_dist_tells_what_the_model_thinks() -> None:
    async def main() -> None:
        context = Context()
        context.fill("abc")
        dist = await context.next_dist(top_k=2, tokens=[ord("f")])
        assert dist.max_index() == ord("d")
        assert dist.top(1) == [(ord("d"), 0.7)]
        assert dist.logprob(ord("f")) == pytest.approx(-2.3026, abs=1e-3)
        assert dist.entropy() == pytest.approx(0.802, abs=1e-3)

    run_in_loop(main())


def test_what_the_server_refuses_is_an_exception_of_the_library(
    host: FakeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise HostError(ErrorKind.OUT_OF_RESOURCES, "no pages left: 4096 of 4096 are held")

    monkeypatch.setattr(host.allocate, "alloc_kvpage", full)
    context = Context()
    context.fill("abc")
    with pytest.raises(OutOfResources, match="no pages left"):
        generate(context)


def test_an_unknown_model_is_refused_with_those_there_are() -> None:
    with pytest.raises(InvalidArgument, match="no model 'gpt' here; served: fake"):
        Model("gpt")


def test_the_library_leaves_low_numbers_to_raw_calls() -> None:
    queue = raw.create_queue("fake")
    raw.alloc_kvpage(queue, range(100))
    with Context() as context:
        context.fill("abc")
        assert generate(context) == "defgh"
