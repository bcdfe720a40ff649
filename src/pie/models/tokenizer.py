"""Text to tokens and back, and chats to text: what the control layer answers without the driver."""

from collections.abc import Sequence

import tokenizers

from pie.core.errors import BadModel, InvalidArgument
from pie.models.chat_template import ChatTemplate
from pie.models.stored import StoredModel, damaged
from pie.models.vocabulary import Vocabulary, read_vocabulary


class ModelTokenizer:
    """Implements `pie.core.tokenizer.Tokenizer`. Safe to share: nothing in it changes."""

    def __init__(
        self, engine: tokenizers.Tokenizer, vocabulary: Vocabulary, template: ChatTemplate | None
    ) -> None:
        self._engine = engine
        self._tokens = vocabulary.tokens
        self._leading_space = vocabulary.leading_space
        self._template = template

    def encode(self, text: str) -> list[int]:
        try:
            ids: list[int] = self._engine.encode(text, add_special_tokens=False).ids
        except (UnicodeEncodeError, TypeError):  # the library says either
            raise InvalidArgument("the text holds half a surrogate pair, which is not a character") from None
        return ids

    def decode(self, tokens: Sequence[int]) -> str:
        """Bytes that are no UTF-8 become U+FFFD. Raises `InvalidArgument` for tokens that do not exist."""
        text = self.token_bytes(tokens).decode(errors="replace")
        return text[1:] if self._leading_space and text.startswith(" ") else text

    def token_bytes(self, tokens: Sequence[int]) -> bytes:
        if tokens and min(tokens) < 0:
            raise InvalidArgument(f"token {min(tokens)} does not exist")
        try:
            return b"".join([self._tokens[token] for token in tokens])
        except IndexError:
            raise InvalidArgument(
                f"token {max(tokens)} does not exist: the vocabulary has {len(self._tokens)}"
            ) from None

    def vocabulary(self) -> list[bytes]:
        """One entry a row of the model's embedding; special tokens and unused rows are empty."""
        return self._tokens

    def special_tokens(self) -> dict[int, str]:
        added = self._engine.get_added_tokens_decoder()
        return {token: entry.content for token, entry in added.items() if entry.special}

    def render_chat(self, messages: str, add_generation_prompt: bool) -> str:
        if self._template is None:
            raise InvalidArgument("the model has no chat template; give it a plain text")
        return self._template.render(messages, add_generation_prompt)


def load_tokenizer(model: StoredModel) -> ModelTokenizer:
    """Raises `BadModel` when the stored tokenizer is damaged."""
    try:
        engine = tokenizers.Tokenizer.from_file(str(model.tokenizer_path))
    except Exception as error:  # the library raises plain exceptions
        raise damaged(model, f"{model.tokenizer_path}: {error}") from error
    try:
        vocabulary = read_vocabulary(model.vocabulary_path)
    except BadModel as error:
        raise damaged(model, str(error)) from error
    source = model.details.chat_template
    template = ChatTemplate(source, model.details.template_tokens) if source else None
    return ModelTokenizer(engine, vocabulary, template)
