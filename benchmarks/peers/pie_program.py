"""What `run_pie.py` launches for each stream."""

import json

from inferlet import Context, Dist, send


def best(dist: Dist) -> int:
    return dist.max_index()


async def main(prompt: str, number: int, way: str = "stream") -> str:
    """Ways: `stream` (`stream_tokens`, greedily), `each token` (the same by a function of the program's own,
    which wakes it for each), `generate` (all in one message), `score` (from the token at `number` on)."""
    tokens = json.loads(prompt)
    with Context() as context:
        if way == "score":
            context.fill(tokens[:number])
            return json.dumps([-value for value in await context.score(tokens[number:])])
        context.fill(tokens)
        if way != "generate":
            pick = None if way == "stream" else best
            async for token in context.stream_tokens(number, pick, stop_tokens=()):
                send(f"{token} ")
        else:
            await context.generate(number, stop_tokens=())
            send("".join(f"{token} " for token in context.tokens[-number:]))
    return ""
