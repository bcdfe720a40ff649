"""The tokenizer in a GGUF's metadata, as a `tokenizers.Tokenizer`.

A GGUF names the way text is split before merging (`tokenizer.ggml.pre`) but does not hold it, so a name we
do not know is an error: a guess would give wrong tokens in silence.
"""

from dataclasses import dataclass

import tokenizers
from tokenizers import decoders, models, normalizers, pre_tokenizers, processors

from pie.core.errors import BadModel
from pie.models.config import Keys
from pie.models.gguf_file import GgufFile
from pie.models.gguf_marks import TokenKind, strings, token_id, token_kinds
from pie.models.gguf_sentencepiece import sentencepiece_tokenizer

LLAMA3_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
QWEN2_SPLIT = LLAMA3_SPLIT.replace(r"\p{N}{1,3}", r"\p{N}")

GPT2_NAMES = ("gpt-2", "gpt2", "olmo", "mpt")
SINGLE_DIGIT_NAMES = ("smollm", "starcoder", "refact", "command-r", "codeshell", "exaone", "minerva-7b")
LLAMA3_NAMES = ("llama-bpe", "llama3", "llama-v3")
QWEN2_NAMES = ("qwen2",)


@dataclass(frozen=True, slots=True)
class Splitting:
    """What happens to a text before its pieces are merged."""

    steps: tuple[pre_tokenizers.PreTokenizer, ...]
    normalizer: normalizers.Normalizer | None = None
    whole_words_first: bool = False
    """A piece that is a token as it stands is not merged from parts."""
    begins_with_bos: bool = False
    """The custom where the file does not say."""


def splitting(origin: str, name: str) -> Splitting:
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    plain = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    if name in GPT2_NAMES:
        return Splitting((byte_level,))
    if name in SINGLE_DIGIT_NAMES:
        return Splitting((pre_tokenizers.Digits(individual_digits=True), byte_level))
    if name in LLAMA3_NAMES:
        return Splitting((split_by(LLAMA3_SPLIT), plain), whole_words_first=True, begins_with_bos=True)
    if name in QWEN2_NAMES:
        return Splitting((split_by(QWEN2_SPLIT), plain), normalizer=normalizers.NFC())
    known = ", ".join(GPT2_NAMES + SINGLE_DIGIT_NAMES + LLAMA3_NAMES + QWEN2_NAMES)
    raise BadModel(
        f"{origin}: its tokenizer splits text the way of {name[:60]!r}, which is not supported ({known})"
    )


def split_by(pattern: str) -> pre_tokenizers.PreTokenizer:
    return pre_tokenizers.Split(tokenizers.Regex(pattern), behavior="isolated", invert=False)


def gguf_tokenizer(file: GgufFile) -> tokenizers.Tokenizer:
    """Raises `BadModel` for a tokenizer that is damaged or of a kind we do not support."""
    origin, keys = str(file.path), Keys(str(file.path), file.metadata)
    kind = keys.text("tokenizer.ggml.model")
    if kind not in ("gpt2", "llama"):
        raise BadModel(
            f"{origin}: its tokenizer is of kind {kind[:60]!r}; from GGUF files only 'gpt2' (byte-level "
            f"BPE) and 'llama' (SentencePiece) are supported; use the model's safetensors folder with its "
            f"tokenizer.json"
        )
    texts = strings(file, "tokenizer.ggml.tokens")
    if kind == "llama":
        engine, with_bos = sentencepiece_tokenizer(file), True
    else:
        way = splitting(origin, keys.text("tokenizer.ggml.pre"))
        engine, with_bos = byte_level_tokenizer(file, texts, way), way.begins_with_bos
    add_marked_tokens(engine, texts, token_kinds(file, len(texts)))
    if keys.boolean("tokenizer.ggml.add_bos_token", with_bos):
        begin_with(engine, texts, token_id(file, "bos", len(texts)))
    return engine


def byte_level_tokenizer(file: GgufFile, texts: list[str], way: Splitting) -> tokenizers.Tokenizer:
    merges = strings(file, "tokenizer.ggml.merges")
    engine = tokenizers.Tokenizer(merging(str(file.path), texts, merges, way))
    engine.pre_tokenizer = pre_tokenizers.Sequence(list(way.steps))
    engine.decoder = decoders.ByteLevel()
    if way.normalizer is not None:
        engine.normalizer = way.normalizer
    return engine


def merging(origin: str, texts: list[str], merges: list[str], way: Splitting) -> models.BPE:
    vocabulary = {text: index for index, text in enumerate(texts)}
    if len(vocabulary) != len(texts):
        raise BadModel(f"{origin}: its tokenizer has the same token twice")
    pairs = []
    for merge in merges:
        first, _, second = merge.partition(" ")
        if not (first in vocabulary and second in vocabulary and first + second in vocabulary):
            raise BadModel(f"{origin}: its tokenizer merges {merge[:60]!r}, which is not in its vocabulary")
        pairs.append((first, second))
    return models.BPE(vocab=vocabulary, merges=pairs, ignore_merges=way.whole_words_first)


def add_marked_tokens(engine: tokenizers.Tokenizer, texts: list[str], kinds: list[int]) -> None:
    """Control tokens carry no text of their own; user-defined ones do, but are never merged."""
    marked = {TokenKind.UNKNOWN: True, TokenKind.CONTROL: True, TokenKind.USER_DEFINED: False}
    engine.add_tokens(
        [
            tokenizers.AddedToken(text, special=marked[TokenKind(kind)], normalized=False)
            for text, kind in zip(texts, kinds, strict=True)
            if kind in marked and text
        ]
    )


def begin_with(engine: tokenizers.Tokenizer, texts: list[str], bos: int | None) -> None:
    if bos is not None:
        engine.post_processor = processors.TemplateProcessing(
            single=[texts[bos], "$A"], pair=[texts[bos], "$A", "$B:1"], special_tokens=[(texts[bos], bos)]
        )
