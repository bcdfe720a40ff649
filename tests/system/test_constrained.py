"""Text by a grammar, on the whole stack: valid for every schema, and what fails says why."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from jsonschema import Draft202012Validator
from whole import Whole

SCHEMAS = json.loads((Path(__file__).parents[2] / "benchmarks" / "schemas.json").read_text())
REPLY = """
from inferlet import Context, Grammar, temperature

async def main(prompt: str, schema: str, seed: int):
    with Context() as context:
        context.fill_chat([{"role": "user", "content": prompt + " Answer in JSON."}])
        grammar = Grammar.json_schema(schema)
        text = await context.generate(600, temperature(1.0, seed=seed), grammar=grammar)
        assert context.stop_reason == "stop_token", (context.stop_reason, text)
        return text
"""
WAYS = """
import asyncio
from inferlet import Context, Grammar, PromptLookup, temperature

GRAMMAR = Grammar.regex("(The (cat|dog|newt) (sat|slept|sang) on the (mat|moon)\\\\. ){2,3}The end\\\\.")

async def main():
    found = []
    with Context() as context:
        context.fill("A poem about a newt: ")
        sampler = temperature(1.0, seed=5)
        for settings in ({"sampler": sampler}, {"sampler": lambda dist: sampler(dist)},
                         {"sampler": sampler, "speculator": PromptLookup()}):
            with context.fork() as branch:
                found.append(await branch.generate(200, grammar=GRAMMAR, **settings))
        with context.decoder(200, sampler, grammar=GRAMMAR) as trunk:
            trunk.take((await trunk.dist()).max_index())
            with trunk.fork() as left, trunk.fork() as right:
                for beam, rank in ((left, 0), (right, 1)):
                    for _ in range(6):
                        best = (await beam.dist()).top(2)
                        beam.take(best[min(rank, len(best) - 1)][0])
                    found.append(trunk.text + beam.text.removeprefix(trunk.text))
        for speculator in (None, PromptLookup()):
            found.append(await beams_at_once(context, speculator))
    return found

async def beams_at_once(context, speculator):
    # Each beam is told its first token before it is there, and is forked once more.
    decoder = context.decoder(200, grammar=GRAMMAR, speculator=speculator)
    first = (await decoder.dist()).max_index()
    with decoder, decoder.fork() as left, decoder.fork() as right:
        for beam in (left, right):
            beam.take(first)
        with left.fork() as more:
            texts = await asyncio.gather(*(beam.run() for beam in (left, more, right)))
    return [texts[0] == text for text in texts] + texts[:1]
"""
BAD = """
from inferlet import Context, Grammar

async def main(kind: str, source: str):
    with Context() as context:
        context.fill("x")
        return await context.generate(8, grammar=Grammar(kind, source))
"""


@pytest_asyncio.fixture(scope="module", loop_scope="package", autouse=True)
async def checker(running: Whole) -> AsyncIterator[None]:
    """The process that checks grammars lives on after the first test; so it starts before that."""
    await running.run(BAD, "--kind", "regex", "--source", "a")
    yield


async def reply(whole: Whole, entry: dict[str, Any]) -> str:
    schema = json.dumps(entry["schema"])
    return await whole.result(REPLY, "--prompt", entry["prompt"], "--schema", schema, "--seed", "1")


async def test_every_reply_fits_its_schema(whole: Whole) -> None:
    texts = await asyncio.gather(*(reply(whole, entry) for entry in SCHEMAS[3::4]))
    for entry, text in zip(SCHEMAS[3::4], texts, strict=True):
        Draft202012Validator(entry["schema"]).validate(json.loads(text))


async def test_however_tokens_are_chosen_the_text_is_the_same_and_beams_keep_to_it(whole: Whole) -> None:
    ahead, by_hand, guessed, left, right, *at_once = json.loads(await whole.result(WAYS))
    assert ahead == by_hand == guessed
    assert ahead.endswith("The end.") and 2 <= ahead.count(" on the ") <= 3
    assert left != right and all(beam.startswith("The ") for beam in (left, right))
    for *same, text in at_once:
        assert same == [True, True, True] and text.endswith("The end.")


@pytest.mark.parametrize(
    ("kind", "source", "said"),
    [
        ("json-schema", '{"type": "objekt"}', "InvalidArgument: the schema is not accepted: at #: Invalid"),
        ("regex", "a(", "unclosed group"),
        ("lark", "start: x", "line 1, column 8: unknown name"),
    ],
)
async def test_a_bad_grammar_is_an_exception_that_names_the_place(
    whole: Whole, kind: str, source: str, said: str
) -> None:
    ended = await whole.failure(BAD, "--kind", kind, "--source", source)
    assert said in ended.message + ended.traceback
