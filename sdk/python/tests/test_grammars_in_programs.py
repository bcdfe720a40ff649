"""Grammars in programs: what they are made from, and what comes out."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import jsonschema
import pytest

from inferlet import Context, Dist, Grammar, Model, temperature
from inferlet.errors import InvalidArgument
from inferlet.grammar import KEPT
from inferlet.shortest import ENDLESS as ENDLESS_LENGTH
from inferlet.shortest import Lengths
from inferlet.testing import FakeHost

SCHEMA = {
    "type": "object",
    "properties": {"age": {"type": "integer"}, "tags": {"type": "array", "items": {"type": "string"}}},
    "required": ["age", "tags"],
    "additionalProperties": False,
}


@dataclass
class Pet:
    kind: Literal["cat", "dog"]
    lives: int


def babble(tokens: Sequence[int]) -> Mapping[int, float]:
    """A model that wants everything a little, and to end a little more."""
    return {token: 1.0 + (token * 7919 + len(tokens)) % 13 for token in range(32, 126)} | {257: 9.0, 34: 40.0}


def generate(grammar: Grammar, **settings: Any) -> str:
    async def main() -> str:
        with Context() as context:
            context.fill("x")
            text = await context.generate(200, grammar=grammar, **settings)
            assert context.stop_reason in ("stop_token", "closed")
            return text

    with FakeHost(babble):
        return asyncio.run(main())


@pytest.mark.parametrize("seed", range(5))
def test_json_of_a_schema_is_json_of_that_schema(seed: int) -> None:
    found = json.loads(generate(Grammar.json_schema(SCHEMA), sampler=temperature(1.0, seed=seed)))
    assert isinstance(found.pop("age"), int) and isinstance(found.pop("tags"), list) and found == {}


def test_a_type_is_a_schema() -> None:
    pet = json.loads(generate(Grammar.json_schema(Pet), sampler=temperature(1.0, seed=1)))
    assert pet["kind"] in ("cat", "dog") and isinstance(pet["lives"], int)


def test_a_text_matches_its_expression_grammar_or_list() -> None:
    assert generate(Grammar.regex("[ab]{3}-[0-9]")).count("-") == 1
    assert generate(Grammar.lark('start: "<" /[a-z]/ ">"'))[::2] == "<>"
    assert generate(Grammar.choice(["ja", 'n"ein'])) in ("ja", 'n"ein')


def test_a_choice_needs_something_to_choose_from() -> None:
    for options in ([], "text"):
        with pytest.raises(InvalidArgument, match="at least one text"):
            Grammar.choice(options)


def test_a_user_function_picks_among_what_is_allowed() -> None:
    def last(dist: Dist) -> int:
        return max(token for token, _ in dist.top(9))

    assert generate(Grammar.regex("(no|yes)"), sampler=last) == "yes"


def test_a_bad_grammar_is_an_exception_of_its_first_use() -> None:
    with pytest.raises(InvalidArgument, match="unclosed group"):
        generate(Grammar.regex("("))


def test_a_grammar_is_compiled_once_and_few_are_kept() -> None:
    async def main() -> None:
        model, grammar = Model(), Grammar.regex("a")
        first = await grammar.number(model)
        assert await Grammar.regex("a").number(model) == first
        for number in range(KEPT):
            await Grammar.regex(f"{number}").number(model)
        assert len(model.pools.grammars) == KEPT
        assert await grammar.number(model) != first

    with FakeHost():
        asyncio.run(main())


def test_a_matcher_can_be_driven_by_hand() -> None:
    async def main() -> None:
        with Context() as context:
            matcher = await Grammar.regex("abc(d|e)?").matcher(context)
            assert bytes(await matcher.forced()) == b"abc"
            matcher.advance(*b"ab")
            other = matcher.fork()
            matcher.advance(*b"c")
            assert await matcher.accepting() and not await other.accepting()
            assert set(b"de") < set(await matcher.allowed())
            matcher.rollback(2)
            assert await matcher.allowed() == list(b"b")
            other.close()
            matcher.close()

    with FakeHost() as host:
        asyncio.run(main())
        assert not host.calls.count("unknown")


def test_a_forked_matcher_is_asked_for_nothing_before_it_is_there() -> None:
    """The fork stands in another queue than what it is told; the two queues know nothing of each other."""

    async def main(calls: list[str]) -> list[str]:
        with Context() as context:
            context.fill("x")
            decoder = context.decoder(4, grammar=Grammar.regex("[ab]c[de]f"))
            best = (await decoder.dist()).max_index()
            with decoder, decoder.fork() as child, child.fork() as grandchild:
                calls.clear()
                child.take(best)
                grandchild.take(best)
                assert calls == []
                with grandchild.fork() as last:
                    return [await each.run() for each in (child, grandchild, last)]

    with FakeHost(babble) as host:
        texts = asyncio.run(main(host.calls))
        assert host.matchers == set()
    assert len(set(texts)) == 1 and texts[0][1] == "c" and texts[0][3] == "f"


def test_a_stream_that_is_left_early_goes_on_where_its_text_is() -> None:
    async def main() -> str:
        with Context() as context:
            context.fill("x")
            grammar = Grammar.regex("[ab]{20}c[de]{20}")
            with context.decoder(60, temperature(1.0, seed=1), grammar=grammar) as decoder:
                async for _ in decoder.each_token():
                    if len(decoder.tokens) == 3:
                        break
                decoder.take((await decoder.dist()).max_index())
                with decoder.fork() as other:
                    assert await other.run() == await decoder.run()
                return decoder.text

    with FakeHost(babble):
        text = asyncio.run(main())
    assert len(text) == 41 and text[20] == "c" and set(text[:20]) <= set("ab") and set(text[21:]) <= set("de")


def test_a_long_grammar_is_shown_cut() -> None:
    assert repr(Grammar.regex("a")) == "Grammar('regex', 'a')"
    assert len(repr(Grammar.regex("a" * 100))) < 90


TREE = {
    "$defs": {
        "node": {
            "type": "object",
            "properties": {"name": {"type": "string", "minLength": 4}, "in": {"$ref": "#/$defs/node"}},
            "required": ["name"],
            "additionalProperties": False,
        }
    },
    "$ref": "#/$defs/node",
}
ENDLESS = {
    "strings": {"type": "array", "items": {"type": "string"}},
    "objects": {"type": "array", "items": SCHEMA, "minItems": 1},
    "tree": TREE,
    "map": {"type": "object", "additionalProperties": {"enum": ["}", "]]", "x"]}},
    "pattern": {"type": "string", "pattern": "^[A-Z]{2}[0-9]+$"},
}


def endless(tokens: Sequence[int]) -> Mapping[int, float]:
    """A model that ends nothing if it has a choice."""
    return {token: 1.0 + (token * 7919 + len(tokens)) % 13 for token in range(32, 126)} | {
        34: 0.001, 93: 1e-9, 125: 1e-9, 257: 1e-12, 123: 20.0, 44: 20.0
    }  # fmt: skip


@pytest.mark.parametrize("pick", ["sampler", "function", "guesses", "stream"])
@pytest.mark.parametrize("name", ENDLESS)
def test_json_is_closed_before_it_would_be_cut_off(name: str, pick: str) -> None:
    async def main() -> tuple[str, str | None, int]:
        with Context() as context:
            context.fill("x")
            settings: dict[str, Any] = {"sampler": temperature(1.0, seed=3)}
            if pick == "function":
                settings["sampler"] = lambda dist: temperature(1.0, seed=4)(dist)
            if pick == "guesses":
                settings["speculator"] = lambda tokens: tokens[-3:]
            if pick == "stream":
                pieces = context.stream(90, grammar=Grammar.json_schema(ENDLESS[name]), **settings)
                text = "".join([piece async for piece in pieces])
            else:
                text = await context.generate(90, grammar=Grammar.json_schema(ENDLESS[name]), **settings)
            return text, context.stop_reason, len(context)

    with FakeHost(endless) as host:
        text, reason, length = asyncio.run(main())
    jsonschema.validate(json.loads(text), ENDLESS[name])
    assert reason == "closed"
    assert 60 < length <= 91
    assert host.matchers == set()


def test_json_that_ends_in_time_is_not_touched() -> None:
    async def main(most: int) -> tuple[str, str | None]:
        with Context() as context:
            context.fill("x")
            grammar = Grammar.json_schema({"type": "array", "items": {"type": "integer"}, "maxItems": 9})
            text = await context.generate(most, temperature(1.0, seed=2), grammar=grammar)
            return text, context.stop_reason

    with FakeHost(babble):
        whole, reason = asyncio.run(main(400))
        assert reason == "stop_token"
        assert asyncio.run(main(len(whole) + 1 + 16)) == (whole, "stop_token")


def test_what_cannot_be_closed_in_time_is_cut_off() -> None:
    async def main() -> str | None:
        with Context() as context:
            context.fill("x")
            grammar = Grammar.json_schema({"type": "string", "minLength": 50})
            await context.generate(20, grammar=grammar)
            return context.stop_reason

    with FakeHost(babble):
        assert asyncio.run(main()) == "max_tokens"


@pytest.mark.parametrize(
    ("schema", "least", "most"),
    [
        (True, 4, 4),
        (SCHEMA, len('{"age": 0, "tags": []}'), 40),
        (TREE, len('{"name": "aaaa"}'), 30),
        ({"type": "array", "minItems": 1000, "items": {"type": "string"}}, 4000, 5000),
        ({"anyOf": [{"$ref": "#"}, {"type": "null"}]}, 4, 4),
        ({"$defs": {"a": {"$ref": "#"}}, "$ref": "#/$defs/a"}, ENDLESS_LENGTH, ENDLESS_LENGTH),
        ({"type": ["string", "null"], "minLength": 9, "pattern": "x"}, 4, 4),
        ({"allOf": [{"const": "abc"}, {"enum": [1, 22]}]}, 5, 20),
    ],
)
def test_the_shortest_text_of_a_schema_is_known_roughly(schema: Any, least: int, most: int) -> None:
    assert least <= Lengths(schema).of(schema) <= most


def test_many_references_in_one_another_take_no_time() -> None:
    sides = {name: {"$ref": "#/$defs/n"} for name in "lr"}
    both = {"type": "object", "required": ["l", "r"], "properties": sides}
    schema = {"$defs": {"n": {"anyOf": [both, {"type": "integer"}]}}, "$ref": "#/$defs/n"}
    assert Lengths(schema).of(schema) == 8
