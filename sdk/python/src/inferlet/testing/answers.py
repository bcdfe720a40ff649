"""Models that are plain functions over a vocabulary of bytes."""

import re
from collections.abc import Callable, Mapping, Sequence

Answer = Callable[[Sequence[int]], Mapping[int, float]]
"""Given the visible tokens in the order of their positions: the probabilities of the next one."""

SPECIAL = {"<|im_start|>": 256, "<|im_end|>": 257, "<|endoftext|>": 258}
"""Tokens 0 to 255 are bytes; these come after."""

END = SPECIAL["<|im_end|>"]
STOP_TOKENS = (END, SPECIAL["<|endoftext|>"])
VOCABULARY: list[bytes] = [bytes([byte]) for byte in range(256)] + [name.encode() for name in SPECIAL]

_PIECES = re.compile("|".join(f"({re.escape(name)})" for name in SPECIAL))


def tokenize(text: str) -> list[int]:
    """One token for each byte, and one for each special name."""
    tokens: list[int] = []
    for piece in filter(None, _PIECES.split(text)):
        tokens += [SPECIAL[piece]] if piece in SPECIAL else piece.encode()
    return tokens


def token_bytes(tokens: Sequence[int]) -> bytes:
    return b"".join(VOCABULARY[token] for token in tokens)


def alphabet(tokens: Sequence[int]) -> dict[int, float]:
    """After "a" comes "b", most of the time, else "c" or "d"; after "z" and all else comes "a"."""
    last = tokens[-1] - ord("a") if tokens and ord("a") <= tokens[-1] < ord("z") else -1
    return {ord("a") + (last + step) % 26: share for step, share in ((1, 0.7), (2, 0.2), (3, 0.1))}


def scripted(replies: Mapping[str, str]) -> Answer:
    """A model that has learned by heart: after a text that ends in a key comes its reply, then the end."""
    learned = [(tokenize(prompt), tokenize(reply)) for prompt, reply in replies.items()]

    def answer(tokens: Sequence[int]) -> dict[int, float]:
        for prompt, reply in learned:
            for said in range(len(reply), -1, -1):
                heard = prompt + reply[:said]
                if list(tokens[len(tokens) - len(heard) :]) == heard:
                    return {reply[said] if said < len(reply) else END: 1.0}
        return {END: 1.0}

    return answer
