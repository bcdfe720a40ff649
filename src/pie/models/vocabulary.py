"""The bytes behind every token, made when a model is pulled and read back in a few milliseconds."""

from pathlib import Path
from typing import Any

import msgspec
import tokenizers

from pie.core.errors import BadModel
from pie.models.byte_level import byte_alphabet, byte_level_bytes, sentencepiece_bytes

LEAST_SHARE = 0.5
"""Of the rows of an embedding that have a token. Rows are padded to a round number, but never doubled."""


class Vocabulary(msgspec.Struct):
    """`tokens[i]`: the bytes token i stands for, empty for special tokens and unused numbers."""

    tokens: list[bytes]
    leading_space: bool
    """True where encoding puts a space before the text, which decoding takes away again."""


def make_vocabulary(origin: str, engine: tokenizers.Tokenizer, size: int) -> Vocabulary:
    """For a model with `size` rows in its embedding. Raises `BadModel` where the tokenizer does not fit."""
    description = msgspec.json.decode(engine.to_str(), type=dict[str, Any])
    byte_level = has_part(description.get("decoder"), "ByteLevel")
    if not byte_level and not has_part(description.get("decoder"), "ByteFallback"):
        raise BadModel(
            f"{origin}: its tokenizer is neither byte-level nor SentencePiece, which is not supported"
        )
    known = engine.get_vocab(with_added_tokens=True)
    if len(known) < size * LEAST_SHARE:
        raise BadModel(
            f"{origin}: the tokenizer does not fit the model: it has {len(known):,} tokens, the weights have "
            f"rows for {size:,}"
        )
    tokens = [b""] * size
    alphabet = byte_alphabet()
    for text, token in known.items():
        if not 0 <= token < size:
            raise BadModel(f"{origin}: the tokenizer does not fit the model: token {token:,} of {size:,}")
        tokens[token] = byte_level_bytes(text, alphabet) if byte_level else sentencepiece_bytes(text)
    for token, added in engine.get_added_tokens_decoder().items():
        spelled = added.content.encode() if byte_level else sentencepiece_bytes(added.content)
        tokens[token] = b"" if added.special else spelled
    return Vocabulary(tokens, leading_space=not byte_level and has_part(description.get("decoder"), "Strip"))


def has_part(part: object, kind: str) -> bool:
    """Whether a tokenizer's decoder is of `kind`, or is a sequence with one."""
    if not isinstance(part, dict):
        return False
    return part.get("type") == kind or any(has_part(inner, kind) for inner in part.get("decoders", ()))


def write_vocabulary(path: Path, vocabulary: Vocabulary) -> None:
    path.write_bytes(msgspec.msgpack.encode(vocabulary))


def read_vocabulary(path: Path) -> Vocabulary:
    try:
        return msgspec.msgpack.decode(path.read_bytes(), type=Vocabulary)
    except (OSError, msgspec.MsgspecError) as error:
        raise BadModel(f"{path} is damaged: {error}") from error
