"""Beam search: of all continuations found so far, the most probable ones grow."""

import asyncio
import math
from itertools import chain
from typing import NamedTuple

from inferlet import Context, Decoder


class Beam(NamedTuple):
    score: float
    decoder: Decoder


async def grow(beam: Beam, width: int) -> list[Beam]:
    """A beam's best children, one for each of the next tokens; or itself, where it has ended."""
    if beam.decoder.done:
        return [beam]
    children = []
    for token, share in (await beam.decoder.dist(width)).top(width):
        child = beam.decoder.fork()
        child.take(token)
        children.append(Beam(beam.score + math.log(share), child))
    beam.decoder.close()
    return children


async def main(prompt: str = "The capital of France is", width: int = 3, max_tokens: int = 16) -> str:
    """Continues a text with the most probable words as a whole, not token by token."""
    with Context() as context:
        context.fill(prompt)
        beams = [Beam(0.0, context.decoder(max_tokens))]
        while not all(beam.decoder.done for beam in beams):
            grown = await asyncio.gather(*(grow(beam, width) for beam in beams))
            ranked = sorted(chain(*grown), key=lambda beam: beam.score, reverse=True)
            beams = ranked[:width]
            for beam in ranked[width:]:
                beam.decoder.close()
        lines = [f"{beam.score:.3f} {beam.decoder.text!r}" for beam in beams]
        for beam in beams:
            beam.decoder.close()
        return "\n".join(lines)
