"""Trait *tokenize*: text and tokens, and the chat template."""

from collections.abc import Iterable

from inferlet.checks import text, unsigned_list
from inferlet.host import bound
from inferlet.raw.calls import call


def tokenize(model: str, string: str) -> list[int]:
    """The tokens of a text; special tokens in it are recognised, none are added."""
    return call(bound.host.tokenize.tokenize, text("model", model), text("string", string))


def detokenize(model: str, tokens: Iterable[int]) -> str:
    """The text of tokens; bytes that are not UTF-8 become U+FFFD."""
    return call(bound.host.tokenize.detokenize, text("model", model), unsigned_list("tokens", tokens))


def token_bytes(model: str, tokens: Iterable[int]) -> bytes:
    """The bytes behind tokens, for a stream that may stop within a character."""
    return call(bound.host.tokenize.token_bytes, text("model", model), unsigned_list("tokens", tokens))


def get_vocabs(model: str) -> list[bytes]:
    """The bytes of every token of the vocabulary, by token."""
    return call(bound.host.tokenize.get_vocabs, text("model", model))


def apply_chat_template(model: str, messages: str, add_generation_prompt: bool = True) -> str:
    """Renders the model's chat template. `messages` is JSON: `[{"role": ..., "content": ...}, ...]`."""
    return call(
        bound.host.tokenize.apply_chat_template, text("model", model), text("messages", messages),
        bool(add_generation_prompt),
    )
