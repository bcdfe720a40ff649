"""The trait *constrain*, call by call."""

import pytest
from bench import GREEDY
from cases import LARGEST, MODEL, NOBODY, QUEUE, Case, limit, wrong
from puppet import Code, Puppet, Refused

call = pytest.mark.call
REGEX = Code("constrain.GrammarKind.REGEX")
SCHEMA = Code("constrain.GrammarKind.JSON_SCHEMA")
LARK = Code("constrain.GrammarKind.LARK")
LONG = Code("list(range(100000))")
WRONG = [
    wrong("constrain.compile-grammar", "nobody's", REGEX, "a", kind="unknown-id", says="no model"),
    limit(
        "constrain.compile-grammar", MODEL, REGEX, Code("'a' * 100000"), kind="limit-exceeded", says="100000"
    ),
    wrong("constrain.take-grammar", 999, kind="unknown-id", says="future 999"),
    wrong("constrain.new-matcher", QUEUE, 77, [1], kind="unknown-id", says="grammar 77"),
    wrong("constrain.new-matcher", 7, 77, [1], kind="unknown-id", says="queue 7"),
    wrong("constrain.free-matcher", QUEUE, [NOBODY], kind="unknown-id", says="matcher 99"),
    wrong("constrain.fork-matcher", QUEUE, [NOBODY], [1], kind="unknown-id", says="matcher 99"),
    wrong("constrain.fork-matcher", QUEUE, [], [1], says="one new matcher for each"),
    wrong("constrain.advance-matcher", QUEUE, NOBODY, [1], kind="unknown-id", says="matcher 99"),
    wrong("constrain.rollback-matcher", QUEUE, NOBODY, 1, kind="unknown-id", says="matcher 99"),
    wrong("constrain.read-matcher", QUEUE, NOBODY, kind="unknown-id", says="matcher 99"),
    wrong("constrain.take-state", 999, kind="unknown-id", says="future 999"),
    wrong("constrain.matcher-mask", QUEUE, NOBODY, kind="unknown-id", says="matcher 99"),
    wrong("constrain.get-masked-dist", QUEUE, 0, 1, [], NOBODY, kind="unknown-id", says="matcher 99"),
    limit("constrain.free-matcher", QUEUE, LONG, says="at most"),
    limit("constrain.fork-matcher", QUEUE, LONG, LONG, says="at most"),
]


@pytest.mark.parametrize("case", WRONG)
async def test_a_wrong_use_is_refused_with_its_reason(puppet: Puppet, case: Case) -> None:
    await case.check(puppet)


async def compiled(puppet: Puppet, kind: Code, text: str) -> int:
    future = await puppet.made("constrain.compile-grammar", MODEL, kind, text)
    grammar: int = await puppet.call("constrain.take-grammar", future)
    return grammar


async def at_beginning(puppet: Puppet, text: str = "ab+c?") -> None:
    """Matcher 1 of a regular expression."""
    await puppet.call("constrain.new-matcher", QUEUE, await compiled(puppet, REGEX, text), [1])


async def allowed(puppet: Puppet, matcher: int) -> set[int]:
    """Among the tokens that are single bytes."""
    future = await puppet.made("constrain.matcher-mask", QUEUE, matcher)
    bits = await puppet.call("futures.take-blob", future)
    return {token for token in range(256) if bits[token // 8] >> token % 8 & 1}


async def state(puppet: Puppet, matcher: int) -> tuple[bool, bool]:
    found = await puppet.call(
        "constrain.take-state", await puppet.made("constrain.read-matcher", QUEUE, matcher)
    )
    return found["accepting"], found["stopped"]


@call("constrain.compile-grammar", "right")
@call("constrain.take-grammar", "right")
@call("constrain.drop-grammar", "right")
@call("constrain.drop-grammar", "limit")
async def test_each_kind_of_grammar_compiles(puppet: Puppet) -> None:
    for kind, text in ((REGEX, "[a-z]+"), (SCHEMA, '{"type": "integer"}'), (LARK, 'start: "a" | "b"')):
        grammar = await compiled(puppet, kind, text)
        await puppet.call("constrain.drop-grammar", grammar)
        await puppet.call("constrain.drop-grammar", grammar)
    await puppet.call("constrain.drop-grammar", LARGEST)


@call("constrain.compile-grammar", "wrong")
@call("constrain.take-grammar", "wrong")
@call("constrain.take-grammar", "limit")
async def test_what_does_not_parse_is_told_by_the_future(puppet: Puppet) -> None:
    for kind, text in (
        (REGEX, "(a"),
        (SCHEMA, "{"),
        (SCHEMA, '{"type": "colour"}'),
        (LARK, "start: nothing"),
    ):
        with pytest.raises(Refused) as refused:
            await puppet.made("constrain.compile-grammar", MODEL, kind, text)
        assert refused.value.kind == "invalid-argument"
    other = await puppet.made("runtime.synchronize", QUEUE)
    with pytest.raises(Refused, match="no grammar"):
        await puppet.call("constrain.take-grammar", other)


@call("constrain.new-matcher", "right")
@call("constrain.advance-matcher", "right")
@call("constrain.read-matcher", "right")
@call("constrain.take-state", "right")
@call("constrain.matcher-mask", "right")
@call("constrain.rollback-matcher", "right")
@call("constrain.fork-matcher", "right")
@call("constrain.free-matcher", "right")
async def test_a_place_moves_forks_and_goes_back(puppet: Puppet) -> None:
    await at_beginning(puppet)
    assert await allowed(puppet, 1) == {ord("a")}
    assert await state(puppet, 1) == (False, False)
    await puppet.call("constrain.advance-matcher", QUEUE, 1, list(b"ab"))
    await puppet.call("constrain.fork-matcher", QUEUE, [1], [2])
    await puppet.call("constrain.advance-matcher", QUEUE, 2, list(b"c"))
    assert await allowed(puppet, 1) == set(b"bc")
    assert [await state(puppet, each) for each in (1, 2)] == [(True, False), (True, True)]
    await puppet.call("constrain.rollback-matcher", QUEUE, 2, 2)
    assert await allowed(puppet, 2) == {ord("b")}
    await puppet.call("constrain.free-matcher", QUEUE, [1, 2])
    with pytest.raises(Refused, match="matcher 1 was freed"):
        await puppet.call("constrain.read-matcher", QUEUE, 1)


@call("constrain.advance-matcher", "limit")
@call("constrain.rollback-matcher", "limit")
@call("constrain.read-matcher", "limit")
@call("constrain.matcher-mask", "limit")
async def test_a_step_that_is_not_allowed_poisons_the_queue_and_moves_nothing(puppet: Puppet) -> None:
    await at_beginning(puppet)
    await puppet.call("constrain.advance-matcher", QUEUE, 1, [])
    await puppet.call("constrain.rollback-matcher", QUEUE, 1, 0)
    for name, argument in (("advance-matcher", [ord("a"), ord("z")]), ("rollback-matcher", 5)):
        with pytest.raises(Refused):
            await puppet.call(f"constrain.{name}", QUEUE, 1, argument)
            await puppet.made("runtime.synchronize", QUEUE)
        await puppet.call("runtime.reset-queue", QUEUE)
    assert await allowed(puppet, 1) == {ord("a")}


@call("constrain.new-matcher", "limit")
@call("constrain.fork-matcher", "limit")
@call("constrain.free-matcher", "limit")
async def test_matchers_of_a_program_are_counted(puppet: Puppet) -> None:
    grammar = await compiled(puppet, REGEX, "a")
    with pytest.raises(Refused, match=r"matchers that a program may have|matchers would be more"):
        await puppet.call("constrain.new-matcher", QUEUE, grammar, Code("list(range(1 << 16))"))
    await puppet.call("constrain.new-matcher", QUEUE, grammar, [LARGEST])
    await puppet.call("constrain.free-matcher", QUEUE, [LARGEST])
    await puppet.call("constrain.free-matcher", QUEUE, [])


@call("constrain.new-matcher", "wrong")
async def test_a_matcher_in_use_is_not_made_again(puppet: Puppet) -> None:
    await at_beginning(puppet)
    with pytest.raises(Refused, match="matcher 1 is allocated already"):
        await at_beginning(puppet)


@call("constrain.take-state", "limit")
async def test_a_state_is_taken_once_and_only_from_a_matcher(puppet: Puppet) -> None:
    await at_beginning(puppet)
    other = await puppet.made("runtime.synchronize", QUEUE)
    with pytest.raises(Refused, match="no state"):
        await puppet.call("constrain.take-state", other)
    future = await puppet.made("constrain.read-matcher", QUEUE, 1)
    await puppet.call("constrain.take-state", future)
    with pytest.raises(Refused, match="dropped"):
        await puppet.call("constrain.take-state", future)


@call("constrain.get-masked-dist", "right")
@call("constrain.get-masked-dist", "limit")
async def test_a_distribution_has_only_what_the_matcher_allows(puppet: Puppet) -> None:
    await at_beginning(puppet, "[xyz]")
    dist = await puppet.made("constrain.get-masked-dist", QUEUE, 0, 256, [], 1)
    tokens, probs = await puppet.call("output-text.dist-top", dist, 256)
    assert set(tokens) == set(b"xyz")
    assert sum(probs) == pytest.approx(1, abs=1e-3)


@call("constrain.advance-matcher", "right")
async def test_a_sample_with_a_matcher_is_allowed_and_moves_it_on(puppet: Puppet) -> None:
    await at_beginning(puppet, "[xyz]q")
    await puppet.call("sample.sample", QUEUE, 0, GREEDY, 1, 1)
    (token,) = await puppet.call(
        "output-text.take-tokens", await puppet.call("sample.read-slots", QUEUE, [1])
    )
    assert token in b"xyz"
    assert await allowed(puppet, 1) == {ord("q")}
