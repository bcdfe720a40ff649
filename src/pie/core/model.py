"""What everybody may know about a model."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ModelInfo:
    name: str
    description: str
    version: str
    license: str
    chat_template: str
    context_length: int
    vocabulary_size: int
    page_size: int
    """Tokens in one key-value page."""
    stop_tokens: tuple[int, ...] = ()
    bos_token: int | None = None
    traits: tuple[str, ...] = (
        "core-runtime",
        "allocate",
        "forward",
        "input-text",
        "tokenize",
        "output-text",
        "sample",
        "constrain",
        "score",
        "introspect",
    )
