"""Speculative decoding: guesses from the text itself, checked many at a time in one forward pass."""

from collections.abc import Sequence

from inferlet import Context, PromptLookup, Sampler, send

TEXT = "The quick brown fox jumps over the lazy dog. The lazy dog sleeps. The quick brown fox runs away."


async def main(text: str = TEXT, max_tokens: int = 48, temperature: float = 0.0, seed: int = 0) -> None:
    """Repeats a text, and says how many forward passes that took. The words are those without guesses."""
    forwards = 0
    lookup = PromptLookup(count=6)

    def guess(tokens: Sequence[int]) -> Sequence[int]:
        nonlocal forwards
        forwards += 1
        return lookup(tokens)

    with Context() as context:
        context.fill(f"{text}\n\nThe same text once more:\n\n")
        before = len(context)
        sampler = Sampler(temperature, seed=seed)
        async for piece in context.stream(max_tokens, sampler, speculator=guess):
            send(piece)
        found = len(context) - before
    send(f"\n[{found} tokens in {forwards} forward passes]")
