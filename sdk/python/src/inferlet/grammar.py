"""What may be generated: JSON of a schema, a regular expression, a Lark grammar, one of some texts.

    schema = {"type": "object", "properties": {"age": {"type": "integer"}}, "required": ["age"]}
    text = await context.generate(grammar=Grammar.json_schema(schema))
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import is_dataclass
from typing import Any

from inferlet import raw
from inferlet.checks import text
from inferlet.context import Context
from inferlet.errors import InvalidArgument
from inferlet.matching import Matcher
from inferlet.model import Model
from inferlet.raw.constrain import GrammarKind
from inferlet.schemas import schema_of

KEPT = 32
"""Compiled grammars that a program keeps for each model; those used longest ago are dropped."""


class Grammar:
    """The texts that are allowed. It is compiled at its first use, once for each model.

    `generate(grammar=...)` ends when the grammar is complete. JSON that `max_tokens` would cut off is closed
    before (`stop_reason` "closed"), other texts are cut off. Models write what they are asked for: say in the
    prompt what the text shall be, too.
    """

    __slots__ = ("kind", "source")

    def __init__(self, kind: GrammarKind, source: str) -> None:
        self.kind: GrammarKind = kind
        self.source = text("source", source)

    @classmethod
    def json_schema(cls, schema: Mapping[str, Any] | str | type) -> "Grammar":
        """JSON that fits a schema: a dict, JSON text, or a type (`list[int]`, a dataclass, `Literal["a"]`).

        It is written as `json.dumps` does. `"x-guidance": {"whitespace_flexible": true}` in the schema allows
        white space everywhere. Keywords that cannot be followed are an error when it is compiled.
        """
        if isinstance(schema, str):
            return cls("json-schema", schema)
        if isinstance(schema, Mapping) and not is_dataclass(schema):
            return cls("json-schema", json.dumps(dict(schema)))
        return cls("json-schema", json.dumps(schema_of(schema)))

    @classmethod
    def regex(cls, pattern: str) -> "Grammar":
        """A regular expression that matches the whole text. Look-around and back references do not exist."""
        return cls("regex", pattern)

    @classmethod
    def lark(cls, grammar: str) -> "Grammar":
        """A context-free grammar in Lark's notation; its rule `start` is the text. EBNF with `|`, `*`, `+`,
        `?`; terminals in capitals; `%json {...}` is JSON of a schema, `<|name|>` a special token."""
        return cls("lark", grammar)

    @classmethod
    def choice(cls, options: Sequence[str]) -> "Grammar":
        """One of some texts."""
        if isinstance(options, str) or not options:
            raise InvalidArgument("give a list of at least one text to choose from")
        return cls("lark", "start: " + " | ".join(json.dumps(text("options", option)) for option in options))

    async def number(self, model: Model) -> int:
        """Its number for the raw calls, compiled for a model; at once if that has been done before.

        Raises `InvalidArgument` with the place of what is wrong, `LimitExceeded` if it is too involved.
        """
        known, key = model.pools.grammars, (self.kind, self.source)
        found = known.pop(key, None)
        if found is None:
            found = await raw.compile_grammar(model.name, self.kind, self.source)
        known[key] = found
        while len(known) > KEPT:
            raw.drop_grammar(known.pop(next(iter(known))))
        return found

    async def matcher(self, context: Context) -> Matcher:
        """A matcher at the beginning, on the queue of a context: for programs that choose tokens by hand."""
        return await Matcher.start(self, context.model, context._text.cache)

    def __repr__(self) -> str:
        shown = self.source if len(self.source) <= 60 else self.source[:57] + "..."
        return f"Grammar({self.kind!r}, {shown!r})"
