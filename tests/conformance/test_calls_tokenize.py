"""The trait *tokenize*, call by call."""

from typing import Any

import pytest
from cases import MODEL, Case, limit, wrong
from puppet import Code, Puppet

call = pytest.mark.call
NO_MODEL: dict[str, Any] = {"kind": "unknown-id", "says": "no model nobody's"}
WRONG = [
    wrong("tokenize.tokenize", "nobody's", "x", **NO_MODEL),
    wrong("tokenize.detokenize", "nobody's", [1], **NO_MODEL),
    wrong("tokenize.token-bytes", "nobody's", [1], **NO_MODEL),
    wrong("tokenize.get-vocabs", "nobody's", **NO_MODEL),
    wrong("tokenize.apply-chat-template", "nobody's", "[]", True, **NO_MODEL),
    limit("tokenize.tokenize", MODEL, Code("'x' * ((1 << 20) + 1)"), kind="limit-exceeded", says="split it"),
    limit(
        "tokenize.apply-chat-template",
        MODEL,
        Code("'x' * ((1 << 20) + 1)"),
        True,
        kind="limit-exceeded",
        says="split it",
    ),
]


@pytest.mark.parametrize("case", WRONG)
async def test_a_wrong_use_is_refused_with_its_reason(puppet: Puppet, case: Case) -> None:
    await case.check(puppet)


@call("tokenize.tokenize", "right")
@call("tokenize.detokenize", "right")
@call("tokenize.token-bytes", "right")
@call("tokenize.tokenize", "limit")
@call("tokenize.detokenize", "limit")
@call("tokenize.token-bytes", "limit")
@pytest.mark.parametrize("text", ["", "héllo", Code("'wörd ' * 5000")])
async def test_text_becomes_tokens_and_text_again(puppet: Puppet, text: str) -> None:
    tokens = f"tokenize.tokenize('fake', {text!r})"
    again = f"tokenize.detokenize('fake', {tokens}), bytes(tokenize.token_bytes('fake', {tokens})).decode()"
    assert await puppet.evaluate(f"{{{again}}} == {{{text!r}}}")


@call("tokenize.get-vocabs", "right")
@call("tokenize.get-vocabs", "limit")
async def test_every_token_has_its_bytes(puppet: Puppet) -> None:
    vocabulary = await puppet.call("tokenize.get-vocabs", MODEL)
    assert len(vocabulary) == 509
    assert vocabulary[65] == b"A"


@call("tokenize.apply-chat-template", "right")
async def test_a_conversation_is_rendered(puppet: Puppet) -> None:
    assert await puppet.call("tokenize.apply-chat-template", MODEL, "[]", True) == "[]|"
    assert await puppet.call("tokenize.apply-chat-template", MODEL, "[]", False) == "[]"
