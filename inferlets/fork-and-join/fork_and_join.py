"""Several continuations of one prompt, side by side, that share the pages of the prompt."""

import asyncio

from inferlet import Context, Sampler, send


async def main(
    prompt: str, branches: int = 3, max_tokens: int = 24, temperature: float = 0.8, seed: int = 0
) -> None:
    """Continues a text several times at once, each time with other luck."""
    with Context() as trunk:
        trunk.fill(prompt)
        forks = [trunk.fork() for _ in range(branches)]
        texts = await asyncio.gather(
            *(fork.generate(max_tokens, Sampler(temperature, seed=seed + n)) for n, fork in enumerate(forks))
        )
    for number, text in enumerate(texts, 1):
        send(f"{number}: {prompt}{text}\n")
