"""The tokenizer of the fake: bytes."""

import json

from inferlet.testing.answers import VOCABULARY, token_bytes, tokenize

_CHATML = "<|im_start|>{role}\n{content}<|im_end|>\n"


class FakeTokenizer:
    """The interface `tokenize`. Every model has the same."""

    def tokenize(self, _model: str, text: str) -> list[int]:
        return tokenize(text)

    def detokenize(self, _model: str, tokens: list[int]) -> str:
        return self.token_bytes(_model, tokens).decode("utf-8", "replace")

    def token_bytes(self, _model: str, tokens: list[int]) -> bytes:
        return token_bytes(tokens)

    def get_vocabs(self, _model: str) -> list[bytes]:
        return VOCABULARY

    def apply_chat_template(self, _model: str, messages: str, add_generation_prompt: bool) -> str:
        conversation = json.loads(messages)
        if isinstance(conversation, dict):
            conversation = conversation["messages"]
        turns = [_CHATML.format(role=each["role"], content=each["content"]) for each in conversation]
        return "".join(turns) + ("<|im_start|>assistant\n" if add_generation_prompt else "")
