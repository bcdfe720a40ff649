"""Generation: whatever picks, allows, guesses and stops, the tokens are those of single steps by hand."""

import asyncio
import math
from collections.abc import Sequence

import pytest

from inferlet import Context, Dist, Model, PromptLookup, Sampler, StopString, StopToken, StopWhen, raw
from inferlet.embedding import ONE_WORD
from inferlet.errors import InvalidArgument, QueueFailed
from inferlet.runner import run_in_loop
from inferlet.sampling import PickToken
from inferlet.speculation import Speculator
from inferlet.testing import ErrorKind, FakeHost, alphabet, scripted

pytestmark = pytest.mark.usefixtures("host")

PROMPT = "abcabcabcabcabcdabc"
COUNT = 40


class Regex:
    """A grammar without the library's own class."""

    def __init__(self, text: str) -> None:
        self.text = text

    async def number(self, model: Model) -> int:
        return await raw.compile_grammar(model.name, "regex", self.text)


def second_best(dist: Dist) -> int:
    return dist.top(2)[-1][0]


def wrapped(dist: Dist) -> int:
    return Sampler(1.0, seed=5, presence_penalty=1.0)(dist)


async def guess_well(tokens: Sequence[int]) -> list[int]:
    """What greedy decoding of the alphabet finds."""
    await asyncio.sleep(0)
    return [ord("a") + (tokens[-1] - ord("a") + step) % 26 for step in (1, 2, 3)]


PICKS: dict[str, PickToken | None] = {
    "greedy": None,
    "seeded": Sampler(1.0, seed=3),
    "limited": Sampler(1.5, top_p=0.9, top_k=2, min_p=0.1, seed=4),
    "penalised": Sampler(1.0, seed=5, presence_penalty=1.0),
    "penalised and greedy": Sampler(0, repetition_penalty=3.0, frequency_penalty=0.5),
    "function": second_best,
    "function around a sampler": wrapped,
}
GRAMMARS = {"free": None, "grammar": Regex("[a-m]{5,60}[n-z ]*")}
GUESSES: dict[str, Speculator | None] = {
    "no guess": None,
    "lookup": PromptLookup(),
    "good guess": guess_well,
    "bad guess": lambda _: [1, 2, 3, 4, 5],
}


async def by_hand(pick: PickToken, grammar: Regex | None) -> list[int]:
    """One step after another, with what is there for single steps."""
    with Context() as context:
        context.fill(PROMPT)
        decoder = context.decoder(COUNT, grammar=grammar)
        while not decoder.done:
            decoder.take(pick(await decoder.dist()))
        return decoder.tokens


@pytest.mark.parametrize("guess", GUESSES)
@pytest.mark.parametrize("grammar", GRAMMARS)
@pytest.mark.parametrize("pick", PICKS)
def test_every_combination_gives_the_tokens_of_single_steps(pick: str, grammar: str, guess: str) -> None:
    async def main() -> None:
        chosen, allowed = PICKS[pick], GRAMMARS[grammar]
        wanted = await by_hand(chosen or Sampler(0), allowed)
        size = len(Model().tokenize(PROMPT))
        for way in range(3):
            with Context() as context:
                context.fill(PROMPT)
                settings = (COUNT, chosen)
                if way == 0:
                    await context.generate(*settings, grammar=allowed, speculator=GUESSES[guess])
                elif way == 1:
                    stream = context.stream(*settings, grammar=allowed, speculator=GUESSES[guess])
                    text = "".join([piece async for piece in stream])
                    assert context.text == PROMPT + text
                else:
                    tokens = context.stream_tokens(*settings, grammar=allowed, speculator=GUESSES[guess])
                    assert [token async for token in tokens] == wanted
                assert context.tokens[size:] == wanted
                await goes_on_correctly(context)

    run_in_loop(main())


async def goes_on_correctly(context: Context) -> None:
    """What a generation left behind in the pages does not show."""
    with Context(context.model) as fresh:
        fresh.fill(context.tokens)
        assert (await fresh.next_dist()).top(3) == (await context.next_dist()).top(3)
        assert await fresh.generate(5) == await context.generate(5)


def test_a_good_guess_saves_forwards(host: FakeHost) -> None:
    def forwards(guess: Speculator | None) -> int:
        with Context() as context:
            context.fill("abc")
            before = host.calls.count("forward")
            run_in_loop(context.generate(20, lambda dist: dist.max_index(), speculator=guess))
            return host.calls.count("forward") - before

    assert (forwards(None), forwards(guess_well)) == (20, 5)


def test_prompt_lookup_offers_what_came_after_the_same_tokens() -> None:
    assert list(PromptLookup(3)([1, 2, 3, 4, 5, 6, 1, 2, 3])) == [4, 5, 6]
    assert list(PromptLookup(2)([9, 2, 3, 4, 5, 6, 1, 2, 3])) == [4, 5]
    assert list(PromptLookup()([1, 2, 3, 4])) == []
    assert list(PromptLookup()([])) == []


def test_a_grammar_that_is_complete_ends_the_generation() -> None:
    async def main() -> tuple[str, str | None]:
        context = Context()
        context.fill("abc")
        return await context.generate(50, grammar=Regex("[0-9]{3}")), context.stop_reason

    assert run_in_loop(main()) == ("000", "stop_token")


def test_two_generations_with_one_grammar_begin_anew(host: FakeHost) -> None:
    async def main() -> list[str]:
        with Context() as context:
            context.fill("abc")
            return [await context.generate(50, grammar=Regex("[x-z]{2}")) for _ in range(2)]

    assert run_in_loop(main()) == ["xy", "zx"]
    assert host.matchers == set()


def test_a_beam_goes_along_with_a_grammar(host: FakeHost) -> None:
    """Two beams, by forks and log-probabilities, against all texts by force."""

    async def main() -> tuple[str, float]:
        with Context() as context:
            context.fill("abc")
            beams = [(0.0, context.decoder(3, grammar=Regex("[d-h]+")))]
            for _ in range(3):
                grown = []
                for score, beam in beams:
                    for token, share in (await beam.dist()).top(3):
                        child = beam.fork()
                        child.take(token)
                        grown.append((score + math.log(share), child))
                    beam.close()
                grown.sort(key=lambda pair: -pair[0])
                beams = grown[:2]
                for _, dropped in grown[2:]:
                    dropped.close()
            found = beams[0][1].text, beams[0][0]
            for _, beam in beams:
                beam.close()
            return found

    text, score = run_in_loop(main())
    assert text == "def"
    assert score == pytest.approx(2 * math.log(0.7) + math.log(0.7))
    assert host.pages == host.embs == host.matchers == set()


@pytest.mark.parametrize(
    ("stop", "text", "reason"),
    [
        ("gh", "def", "stop_string"),
        (["xx", "fg"], "de", "stop_string"),
        (StopString("g", "f"), "de", "stop_string"),
        (ord("g"), "def", "stop_token"),
        (StopToken(ord("h")), "defg", "stop_token"),
        (lambda text: len(text) == 4, "defg", "stop_condition"),
        (StopWhen(lambda text: "f" in text), "def", "stop_condition"),
        (["zz", ord("i"), lambda text: text.endswith("k")], "defgh", "stop_token"),
        ((), "defghijklmno", "max_tokens"),
    ],
)
@pytest.mark.parametrize("streams", [False, True])
def test_it_stops(stop: object, text: str, reason: str, streams: bool) -> None:
    async def main() -> None:
        with Context() as context:
            context.fill("abc")
            if streams:
                found = "".join([piece async for piece in context.stream(12, stop=stop)])  # type: ignore[arg-type]
            else:
                found = await context.generate(12, stop=stop)  # type: ignore[arg-type]
            assert (found, context.stop_reason) == (text, reason)
            await goes_on_correctly(context)

    run_in_loop(main())


def test_generate_until_is_generate_with_a_stop() -> None:
    context = Context()
    context.fill("abc")
    assert run_in_loop(context.generate_until("h")) == "defg"


@pytest.mark.parametrize("wrong", [3.5, [None], object()])
def test_a_stop_of_another_kind_is_refused(wrong: object) -> None:
    with pytest.raises(TypeError, match="stop takes strings, tokens and functions"):
        Context().decoder(stop=wrong)  # type: ignore[arg-type]


def test_an_empty_stop_string_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="at least one character"):
        Context().decoder(stop=["a", ""])


def test_text_may_be_filled_in_while_it_streams() -> None:
    async def main() -> str:
        with Context() as context:
            context.fill("abc")
            count = 0
            async for _ in context.stream_tokens(30):
                count += 1
                if count in (2, 11):
                    context.fill("x")
            await goes_on_correctly(context)
            return context.text

    assert run_in_loop(main())[:13] == "abcdexyzabcde"


def test_a_fork_may_be_taken_while_it_streams() -> None:
    async def main() -> list[str]:
        forks = []
        with Context() as context:
            context.fill("abc")
            async for _ in context.stream_tokens(12):
                forks.append(context.fork())
            return [await fork.generate(2) for fork in forks]

    assert run_in_loop(main()) == [chr(ord("d") + n) + chr(ord("e") + n) for n in range(1, 13)]


def test_an_adapter_is_another_way_to_read() -> None:
    async def main() -> list[str]:
        context = Context()
        context.fill("Hi")
        plain = await context.fork().generate(9)
        adapted = await context.fork().generate(9, adapter="pirate")
        context = Context(adapter="pirate")
        context.fill("Hi")
        return [plain, adapted, await context.generate(9, lambda dist: dist.max_index())]

    with FakeHost(scripted({"Hi": " there"}), adapters={"pirate": scripted({"Hi": " matey"})}):
        assert run_in_loop(main()) == [" there", " matey", " matey"]


# --- judging ------------------------------------------------------------------------------------------------


def test_a_score_is_the_log_probability_of_each_token() -> None:
    async def main() -> list[float]:
        context = Context()
        context.fill("abc")
        return await context.score("df") + await context.score("e")

    assert run_in_loop(main()) == pytest.approx([math.log(0.7), math.log(0.2), math.log(0.2)])


@pytest.mark.parametrize("before", [0, 1, 20])
@pytest.mark.parametrize("length", [1, 17, 256, 257, 600])
def test_a_score_of_any_length_leaves_no_trace(host: FakeHost, before: int, length: int) -> None:
    async def main() -> None:
        with Context() as context:
            context.fill("abc")
            await context.generate(before)
            last = context.tokens[-1] - ord("a")
            continuation = [ord("a") + (last + step) % 26 for step in range(1, length + 1)]
            assert await context.score(continuation) == pytest.approx([math.log(0.7)] * length)
            await goes_on_correctly(context)

    run_in_loop(main())
    assert host.pages == host.embs == set()


def test_choosing_takes_the_most_probable() -> None:
    async def main() -> tuple[str, str, str]:
        context = Context()
        context.fill("abc")
        options = ["e", "d", "defgh"]
        return (
            await context.choose(options), await context.choose(options[::2]),
            await context.choose(options[::2], per_token=True),
        )

    assert run_in_loop(main()) == ("d", "e", "defgh")


def test_choosing_among_nothing_is_refused() -> None:
    context = Context()
    context.fill("a")
    with pytest.raises(InvalidArgument, match="options"):
        run_in_loop(context.choose([]))


def test_texts_about_the_same_have_similar_embeddings(host: FakeHost) -> None:
    """A model that answers with the letters of the text before the question."""

    def about(tokens: Sequence[int]) -> dict[int, float]:
        said = [token for token in tokens[: -len(ONE_WORD)] if token != 32]
        return {token: said.count(token) / len(said) for token in said} | {ord("!"): 1e-9}

    async def main() -> tuple[float, float, float]:
        found = []
        for text in ("cat cat", "cats", "dog"):
            with Context() as context:
                context.fill(text)
                found.append(await context.embed())
                assert context.text == text
        cat, cats, dog = found
        return cat.similarity(cat), cat.similarity(cats), cat.similarity(dog)

    with FakeHost(about) as host:
        same, near, far = run_in_loop(main())
        assert host.pages == set()
    assert same == pytest.approx(1)
    assert 0.8 < near < 1
    assert far == 0


# --- masks --------------------------------------------------------------------------------------------------


def told(tokens: Sequence[int]) -> dict[int, float]:
    """A model that says how many tokens it has seen."""
    return {len(tokens) % 256: 1.0}


def test_hidden_tokens_are_not_seen_any_more() -> None:
    async def main() -> list[int]:
        context = Context()
        context.fill([1] * 40)
        seen = []
        spans = [(0, 0, False), (3, 20, False), (30, None, False), (5, 10, True), (0, 40, True)]
        for start, end, visible in spans:
            context.mask(start, end, visible)
            seen.append((await context.next_dist()).max_index())
        return seen

    with FakeHost(told):
        assert run_in_loop(main()) == [40, 23, 14, 19, 40]


def test_what_is_hidden_stays_hidden_for_forks_and_later_tokens() -> None:
    async def main() -> None:
        context = Context()
        context.fill([1] * 40)
        context.mask(10, 30)
        assert (await context.fork().next_dist()).max_index() == 20
        context.fill([1] * 300)
        assert (await context.next_dist()).max_index() == 64
        assert len(await context.score([1, 1])) == 2

    with FakeHost(told):
        run_in_loop(main())


def test_what_is_filled_where_hidden_tokens_were_is_seen() -> None:
    async def main() -> tuple[int, int]:
        context = Context()
        context.fill([1] * 40)
        context.mask(10, 30)
        await context.next_dist()
        context.trim(20)
        first = (await context.next_dist()).max_index()
        context.fill([1] * 20)
        return first, (await context.next_dist()).max_index()

    with FakeHost(told):
        assert run_in_loop(main()) == (11, 30)  # a token always sees itself


def test_a_mask_outside_the_text_is_refused() -> None:
    context = Context()
    context.fill("abc")
    with pytest.raises(InvalidArgument, match="from 0 to 3"):
        context.mask(2, 9)


# --- failures -----------------------------------------------------------------------------------------------


def test_a_context_whose_queue_failed_says_how_it_goes_on_and_does(host: FakeHost) -> None:
    async def main() -> str:
        with Context() as context:
            context.fill("abc")
            await context.generate(5)
            host.fail_next("no page left: 4096 of 4096 are held")
            with pytest.raises(Exception, match="no page left") as caught:
                await context.generate(5)
            assert "reads its 8 tokens once more" in "".join(caught.value.__notes__)
            return await context.generate(5)

    assert run_in_loop(main()) == "ijklm"
    assert host.pages == host.embs == set()


def test_a_fork_outlives_the_failure_of_the_queue_it_came_from(host: FakeHost) -> None:
    async def main() -> tuple[str, str]:
        trunk = Context()
        trunk.fill("abc" * 10)
        fork = trunk.fork()
        host.fail_next("the driver died", ErrorKind.UNAVAILABLE)
        with pytest.raises(Exception, match="the driver died"):
            await trunk.generate(3)
        with pytest.raises(QueueFailed):
            await trunk.flush() if False else await queue_of(trunk)
        return await fork.generate(3), await trunk.generate(3)

    async def queue_of(context: Context) -> None:
        await raw.synchronize(context.queue)

    assert run_in_loop(main()) == ("def", "def")


def test_masks_hold_after_a_failure(host: FakeHost) -> None:
    async def main() -> list[int]:
        context = Context()
        context.fill([1] * 40)
        context.mask(10, 30)
        context.fill([1] * 40)
        first = (await context.next_dist()).max_index()
        host.fail_next("lost")
        with pytest.raises(Exception, match="lost"):
            await context.flush()
        return [first, (await context.next_dist()).max_index()]

    with FakeHost(told) as host:
        assert run_in_loop(main()) == [60, 60]


def test_a_grammar_that_does_not_compile_harms_nothing() -> None:
    async def main() -> str:
        with Context() as context:
            context.fill("abc")
            with pytest.raises(InvalidArgument, match="does not compile"):
                await context.generate(5, grammar=Regex("(["))
            return await context.generate(2)

    assert run_in_loop(main()) == "de"


def test_an_answer_for_a_test_is_a_function_of_the_tokens() -> None:
    assert alphabet([ord("a")])[ord("b")] == 0.7
