"""Words of the fake model: what its tokens say, for grammars."""

from pie.models.grammar import GrammarVocabulary

LETTERS = b"abcdefghijklmnopqrstuvwxyz"


def fake_tokens(size: int) -> list[bytes]:
    """Bytes, then pairs of letters; the last token ends a text."""
    pairs = [bytes([one, other]) for one in LETTERS for other in LETTERS]
    return [*([bytes([i]) for i in range(256)] + pairs)[: size - 1], b""]


def fake_vocabulary(size: int) -> GrammarVocabulary:
    return GrammarVocabulary(fake_tokens(size), {size - 1: "<end>"}, (size - 1,))
