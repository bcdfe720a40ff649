"""Continues a text as it stands, word by word."""

from inferlet import Context, Sampler, send


async def main(prompt: str, max_tokens: int = 64, temperature: float = 0.0, seed: int = 0) -> None:
    """Continues a text as it stands, without a chat template; the words stream as they come."""
    with Context() as context:
        context.fill(prompt)
        async for piece in context.stream(max_tokens, Sampler(temperature, seed=seed)):
            send(piece)
