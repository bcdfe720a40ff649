"""What a GGUF says about its tokens: their texts, their kinds, and which of them mean something."""

from enum import IntEnum

from pie.core.errors import BadModel
from pie.models.config import Keys
from pie.models.gguf_file import GgufFile


class TokenKind(IntEnum):
    NORMAL = 1
    UNKNOWN = 2
    CONTROL = 3
    USER_DEFINED = 4


def strings(file: GgufFile, key: str) -> list[str]:
    value = file.metadata.get(key)
    if not isinstance(value, list) or not value or not isinstance(value[0], str):
        raise BadModel(f"{file.path}: {key!r} is missing or not a list of texts")
    return [text for text in value if isinstance(text, str)]


def token_kinds(file: GgufFile, count: int) -> list[int]:
    value = file.metadata.get("tokenizer.ggml.token_type", [TokenKind.NORMAL.value] * count)
    if not isinstance(value, list) or len(value) != count:
        raise BadModel(f"{file.path}: 'tokenizer.ggml.token_type' does not have one entry a token")
    return [kind if isinstance(kind, int) else 0 for kind in value]


def token_id(file: GgufFile, name: str, count: int) -> int | None:
    keys = Keys(str(file.path), file.metadata)
    key = f"tokenizer.ggml.{name}_token_id"
    if not keys.has(key):
        return None
    token = keys.integer(key)
    if not 0 <= token < count:
        raise BadModel(f"{file.path}: {key!r} is {token}, but there are {count} tokens")
    return token
