"""Trait *input image*: only offered by models that can see."""

from collections.abc import Iterable

from inferlet.checks import text, unsigned, unsigned_list
from inferlet.host import bound
from inferlet.raw.calls import call


def num_embs_needed(model: str, width: int, height: int) -> int:
    """How many embeddings an image of this many pixels takes."""
    return call(
        bound.host.input_image.num_embs_needed, text("model", model), unsigned("width", width),
        unsigned("height", height),
    )


def embed_img(queue: int, blob: bytes, positions: Iterable[int], embs: Iterable[int]) -> None:
    """Puts an encoded image (PNG, JPEG) into embeddings, each with its position."""
    call(
        bound.host.input_image.embed_img, unsigned("queue", queue), bytes(memoryview(blob)),
        unsigned_list("positions", positions), unsigned_list("embs", embs),
    )
