"""SentencePiece vocabularies in a GGUF (`tokenizer.ggml.model` "llama": Llama 2, Mistral, Gemma), as BPE.

SentencePiece merges the two neighbours whose joined piece has the best score. BPE merges by rank; so every
way to split a piece into two others becomes a merge, in the order of scores (as transformers' converters do).
Where neighbours have the same score the left ones go first, in both.
"""

import tokenizers
from tokenizers import decoders, models, normalizers

from pie.core.errors import BadModel
from pie.models.byte_level import BYTE_TOKEN, SPACE_MARK
from pie.models.config import Keys
from pie.models.gguf_file import GgufFile
from pie.models.gguf_marks import TokenKind, strings, token_id, token_kinds

MOST_PIECE = 256
"""Characters of a piece that is split into merges; longer ones are nobody's words."""


def sentencepiece_tokenizer(file: GgufFile) -> tokenizers.Tokenizer:
    """Raises `BadModel` for a vocabulary that is damaged."""
    texts = strings(file, "tokenizer.ggml.tokens")
    kinds = token_kinds(file, len(texts))
    vocabulary = {text: index for index, text in enumerate(texts)}
    if len(vocabulary) != len(texts):
        raise BadModel(f"{file.path}: its tokenizer has the same token twice")
    if sum(1 for text in texts if BYTE_TOKEN.fullmatch(text)) < 256:
        raise BadModel(f"{file.path}: its tokenizer lacks tokens for single bytes, which is not supported")
    unknown = token_id(file, "unknown", len(texts))
    merges = merges_of(texts, kinds, piece_scores(file, len(texts)), vocabulary)
    engine = tokenizers.Tokenizer(
        models.BPE(
            vocab=vocabulary,
            merges=merges,
            unk_token=None if unknown is None else texts[unknown],
            fuse_unk=True,
            byte_fallback=True,
        )
    )
    keys = Keys(str(file.path), file.metadata)
    mark_spaces(engine, keys.boolean("tokenizer.ggml.add_space_prefix", default=True))
    return engine


def mark_spaces(engine: tokenizers.Tokenizer, prefix: bool) -> None:
    """A space is written as U+2581; `prefix`: one is put before each text, and taken away again."""
    marked = normalizers.Replace(" ", SPACE_MARK)
    spaces = [decoders.Replace(SPACE_MARK, " "), decoders.ByteFallback(), decoders.Fuse()]
    if prefix:
        engine.normalizer = normalizers.Sequence([normalizers.Prepend(SPACE_MARK), marked])
        engine.decoder = decoders.Sequence([*spaces, decoders.Strip(" ", 1, 0)])
    else:
        engine.normalizer = marked
        engine.decoder = decoders.Sequence(spaces)


def piece_scores(file: GgufFile, count: int) -> list[float]:
    value = file.metadata.get("tokenizer.ggml.scores")
    if not isinstance(value, list) or len(value) != count:
        raise BadModel(f"{file.path}: 'tokenizer.ggml.scores' does not have one number a token")
    return [score if isinstance(score, float) else 0.0 for score in value]


def merges_of(
    texts: list[str], kinds: list[int], scores: list[float], vocabulary: dict[str, int]
) -> list[tuple[str, str]]:
    """Best score first; of one piece, in the order of their parts' numbers."""
    found = []
    for index, text in enumerate(texts):
        if kinds[index] == TokenKind.NORMAL and len(text) <= MOST_PIECE:
            found += [
                (-scores[index], first, second, cut)
                for cut in range(1, len(text))
                if (first := vocabulary.get(text[:cut])) is not None
                and (second := vocabulary.get(text[cut:])) is not None
            ]
    found.sort()
    return [(texts[first], texts[second]) for _, first, second, _ in found]
