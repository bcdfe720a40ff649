"""JSON that always fits its schema: the grammar leaves the model no other choice."""

from dataclasses import dataclass
from typing import Literal

from inferlet import Context, Grammar, Sampler


@dataclass
class Person:
    name: str
    born: int
    profession: str
    alive: Literal["yes", "no"]


async def main(
    text: str = "Ada Lovelace, born in London in 1815, was a mathematician and the first programmer.",
    schema: str = "",
    temperature: float = 0.0,
    seed: int = 0,
) -> str:
    """Reads facts out of a text; `--schema` is the JSON schema of the answer."""
    grammar = Grammar.json_schema(schema or Person)
    with Context() as context:
        question = f"{text}\n\nWrite this as JSON with the schema {grammar.source}."
        context.fill_chat([{"role": "user", "content": question}])
        answer = await context.generate(256, Sampler(temperature, seed=seed), grammar=grammar)
        if context.stop_reason != "stop_token":
            raise ValueError(f"cut off ({context.stop_reason}) after: {answer}")
        return answer
