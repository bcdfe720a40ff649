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


Reply = str | Mapping[str, float]
"""What comes after a text: one reply, or several with their probabilities."""


def scripted(replies: Mapping[str, Reply]) -> Answer:
    """A model that has learned by heart: after a text that ends in a key comes its reply, then the end.

        scripted({"Hi": " there", "Is it hot? ": {"yes": 0.8, "no": 0.2}})

    Where several keys fit the first counts. Other texts are answered by the end of the reply.
    """
    learned = [(tokenize(prompt), _branches(reply)) for prompt, reply in replies.items()]

    def answer(tokens: Sequence[int]) -> dict[int, float]:
        for prompt, branches in learned:
            for said in range(max(len(reply) for reply, _ in branches), -1, -1):
                start = len(tokens) - said
                if start >= len(prompt) and list(tokens[start - len(prompt) : start]) == prompt:
                    found = _next_tokens(branches, list(tokens[start:]))
                    if found:
                        return found
        return {END: 1.0}

    return answer


def _branches(reply: Reply) -> list[tuple[list[int], float]]:
    shares = {reply: 1.0} if isinstance(reply, str) else reply
    return [(tokenize(text), share) for text, share in shares.items()]


def _next_tokens(branches: Sequence[tuple[list[int], float]], said: list[int]) -> dict[int, float]:
    """What comes after the tokens said so far, by the branches that begin with them."""
    found: dict[int, float] = {}
    for reply, share in branches:
        if reply[: len(said)] == said:
            token = reply[len(said)] if len(reply) > len(said) else END
            found[token] = found.get(token, 0.0) + share
    total = sum(found.values())
    return {token: share / total for token, share in found.items()}
