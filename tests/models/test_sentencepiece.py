"""A SentencePiece vocabulary from a GGUF splits text as SentencePiece does."""

from dataclasses import replace
from itertools import pairwise
from random import Random
from typing import Any

import pytest
from tokenizers import AddedToken

from pie.core.errors import BadModel
from pie.models.gguf_file import GgufFile, read_gguf
from pie.models.gguf_tokenizer import gguf_tokenizer
from pie.models.tiny_gguf import write_tiny_gguf
from pie.models.vocabulary import make_vocabulary

BYTES = [f"<0x{byte:02X}>" for byte in range(256)]
SPECIAL = ["<unk>", "<s>", "</s>", "<turn>"]
RUNS = ["  ", "   ", "\n\n"]


def random_pieces(dice: Random) -> list[str]:
    """Every letter, and words made of words that are there, best score first."""
    pieces = list("abcd▁é")
    while len(pieces) < 60:
        joined = dice.choice(pieces) + dice.choice(pieces)
        if joined not in pieces and len(joined) < 8:
            pieces.append(joined)
    return pieces


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> GgufFile:
    return read_gguf(write_tiny_gguf(tmp_path_factory.mktemp("pieces") / "tiny.gguf"))


def with_pieces(base: GgufFile, pieces: list[str], **changes: Any) -> GgufFile:
    tokens = [*SPECIAL, *RUNS, *BYTES, *pieces]
    kinds = [2, 3, 3, 3, *[4] * len(RUNS), *[6] * 256, *[1] * len(pieces)]
    marked = len(tokens) - len(pieces)
    metadata: dict[str, Any] = {
        "tokenizer.ggml.model": "llama",
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.token_type": kinds,
        "tokenizer.ggml.scores": [0.0] * marked + [-float(i) for i in range(len(pieces))],
        "tokenizer.ggml.unknown_token_id": 0,
        "tokenizer.ggml.bos_token_id": 1,
        "tokenizer.ggml.add_space_prefix": False,
    }
    return replace(base, metadata={**metadata, **{key.replace("__", "."): v for key, v in changes.items()}})


def split_naively(text: str, pieces: list[str]) -> list[str]:
    """SentencePiece's BPE: again and again the neighbours whose joined piece is best, the leftmost first."""
    parts = list(text.replace(" ", "▁"))
    while True:
        ranks = [
            (pieces.index(first + second), i)
            for i, (first, second) in enumerate(pairwise(parts))
            if first + second in pieces
        ]
        if not ranks:
            return parts
        _, i = min(ranks)
        parts[i : i + 2] = [parts[i] + parts[i + 1]]


@pytest.mark.parametrize("seed", range(5))
def test_text_is_split_by_scores(base: GgufFile, seed: int) -> None:
    dice = Random(seed)
    pieces = random_pieces(dice)
    engine = gguf_tokenizer(with_pieces(base, pieces))
    for _ in range(30):
        text = " ".join("".join(dice.choices("abcdé", k=dice.randint(1, 9))) for _ in range(4))
        assert engine.encode(text, add_special_tokens=False).tokens == split_naively(text, pieces)


def test_runs_marks_and_unknown_characters_keep_their_bytes(base: GgufFile) -> None:
    engine = gguf_tokenizer(with_pieces(base, random_pieces(Random(1))))
    tokens = engine.encode("<turn>a\n\n🙂   b").tokens
    assert tokens[:4] == ["<s>", "<turn>", "a", "\n\n"]
    assert tokens[4:] == ["<0xF0>", "<0x9F>", "<0x99>", "<0x82>", "   ", "b"]
    vocabulary = make_vocabulary("tiny", engine, 323)
    ids = engine.encode("a\n\n🙂   b", add_special_tokens=False).ids
    assert b"".join(vocabulary.tokens[token] for token in ids).decode() == "a\n\n🙂   b"


def test_a_prefix_of_a_space_is_put_there_and_taken_away(base: GgufFile) -> None:
    engine = gguf_tokenizer(with_pieces(base, list("ab▁"), tokenizer__ggml__add_space_prefix=True))
    encoded = engine.encode("a b", add_special_tokens=False)
    assert (encoded.tokens, engine.decode(encoded.ids)) == (["▁", "a", "▁", "b"], "a b")
    assert make_vocabulary("tiny", engine, 320).leading_space


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"tokenizer__ggml__scores": [0.5]}, "scores.*one number a token"),
        ({"tokenizer__ggml__tokens": ["a", "a"]}, "one entry a token"),
        ({"tokenizer__ggml__unknown_token_id": 10**6}, "unknown_token_id"),
    ],
)
def test_a_damaged_vocabulary_is_refused(base: GgufFile, changes: dict[str, Any], complaint: str) -> None:
    with pytest.raises(BadModel, match=complaint):
        gguf_tokenizer(with_pieces(base, list("ab▁"), **changes))


def test_an_added_token_that_marks_spaces_stands_for_spaces(base: GgufFile) -> None:
    engine = gguf_tokenizer(with_pieces(base, list("ab▁")))
    engine.add_tokens([AddedToken("▁▁▁▁", special=False, normalized=False)])
    vocabulary = make_vocabulary("tiny", engine, 320)
    (token,) = engine.encode("▁▁▁▁", add_special_tokens=False).ids
    assert vocabulary.tokens[token] == b"    "
