"""A model that the server offers: what it is, and its tokenizer."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from inferlet import raw
from inferlet.errors import InvalidArgument
from inferlet.host import bound
from inferlet.interfaces import ModelRecord
from inferlet.pools import pools_of

Message = Mapping[str, Any]
"""`{"role": "user", "content": "Hello"}`; roles are the template's: "system", "user", "assistant", "tool"."""


class Model:
    """A served model, by name; the default one without a name.

    Attributes: `name`, `description`, `version`, `license`, `chat_template` (Jinja source),
    `context_length` (tokens), `vocabulary_size`, `page_size` (tokens in a page), `stop_tokens` (those that
    end a reply), `bos_token` (the one that begins a text, or None).
    """

    __slots__ = (
        "bos_token", "chat_template", "context_length", "description", "license", "name", "page_size",
        "pools", "stop_tokens", "version", "vocabulary_size",
    )

    def __init__(self, name: str | None = None) -> None:
        record = _find(name)
        self.name = record.name
        self.description = record.description
        self.version = record.version
        self.license = record.license
        self.chat_template = record.chat_template
        self.context_length = record.context_length
        self.vocabulary_size = record.vocabulary_size
        self.page_size = record.page_size
        self.stop_tokens = frozenset(record.stop_tokens)
        self.bos_token = record.bos_token
        self.pools = pools_of(record.name)

    def __repr__(self) -> str:
        return f"Model({self.name!r})"

    @property
    def traits(self) -> list[str]:
        """What the model can do: "core-runtime", "allocate", "forward", ..."""
        return raw.available_traits(self.name)

    def tokenize(self, text: str) -> list[int]:
        """The tokens of a text; special tokens in it are recognised, none are added."""
        return raw.tokenize(self.name, text)

    def detokenize(self, tokens: Iterable[int]) -> str:
        """The text of tokens; bytes that are not UTF-8 become U+FFFD."""
        return raw.detokenize(self.name, tokens)

    def token_bytes(self, token: int) -> bytes:
        """The bytes of one token, which need not be whole characters. Remembered for the next time."""
        known = self.pools.token_bytes
        found = known.get(token)
        if found is None:
            found = known[token] = raw.token_bytes(self.name, [token])
        return found

    def bytes_of(self, tokens: list[int]) -> bytes:
        """The bytes of tokens in a row."""
        return self.token_bytes(tokens[0]) if len(tokens) == 1 else raw.token_bytes(self.name, tokens)

    def vocabulary(self) -> list[bytes]:
        """The bytes of every token, by token. Large: ask once."""
        return raw.get_vocabs(self.name)

    def apply_chat_template(
        self, messages: Sequence[Message], add_generation_prompt: bool = True,
        tools: Sequence[Mapping[str, Any]] = (),
    ) -> str:
        """A conversation as the text that the model was trained on; the reply is expected at its end.

        tools: schemas of functions, for a template that shows them. `ChatTemplate` knows more about it.
        """
        conversation: Any = list(messages)
        if tools:
            conversation = {"messages": conversation, "tools": list(tools)}
        return raw.apply_chat_template(self.name, json.dumps(conversation), add_generation_prompt)


def _find(name: str | None) -> ModelRecord:
    bound.records = bound.records or raw.available_models()
    for record in bound.records:
        if name is None or record.name == name:
            return record
    served = ", ".join(record.name for record in bound.records) or "none"
    raise InvalidArgument(f"no model {name!r} here; served: {served}")
