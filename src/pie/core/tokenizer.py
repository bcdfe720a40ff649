"""What the control layer answers about text."""

from collections.abc import Mapping, Sequence
from typing import Protocol


class Tokenizer(Protocol):
    def encode(self, text: str) -> list[int]:
        """Tokens of `text`; special tokens in it are recognised, none are added."""
        ...

    def decode(self, tokens: Sequence[int]) -> str: ...

    def token_bytes(self, tokens: Sequence[int]) -> bytes:
        """The bytes behind `tokens`, which may stop within a character. Special tokens give none."""
        ...

    def vocabulary(self) -> list[bytes]: ...

    def special_tokens(self) -> Mapping[int, str]:
        """Names of the tokens that have no text, as `<|im_end|>`."""
        ...

    def render_chat(self, messages: str, add_generation_prompt: bool) -> str:
        """Applies the chat template to `messages` (JSON). Raises `InvalidArgument` for bad messages."""
        ...
