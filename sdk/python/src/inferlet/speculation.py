"""Guesses at the next tokens, which one forward pass can check all at once."""

from collections.abc import Awaitable, Callable, Sequence

from inferlet.checks import unsigned

Speculator = Callable[[Sequence[int]], Sequence[int] | Awaitable[Sequence[int]]]
"""Given the tokens of the text so far: a guess at the next ones, which may be empty. It may be `async`, and
so ask another context. A wrong guess costs time, never correctness."""


class PromptLookup:
    """Guesses that what came after the same tokens before comes again: good where text is quoted or edited.

    Looks for the last `ngram` tokens (then fewer, down to `shortest`) earlier in the text, and offers up to
    `count` tokens that followed them there. (A. Saxena, Prompt Lookup Decoding, 2023.)
    """

    def __init__(self, count: int = 8, ngram: int = 3, shortest: int = 2) -> None:
        self.count = unsigned("count", count)
        self.ngram = max(1, unsigned("ngram", ngram))
        self.shortest = max(1, unsigned("shortest", shortest))

    def __call__(self, tokens: Sequence[int]) -> Sequence[int]:
        for length in range(min(self.ngram, len(tokens) - 1), self.shortest - 1, -1):
            wanted = tokens[-length:]
            for start in range(len(tokens) - length - 1, -1, -1):
                if tokens[start] == wanted[0] and tokens[start : start + length] == wanted:
                    return tokens[start + length : start + length + self.count]
        return ()
