"""`pie:inferlet/input-image`: no model here can see yet, so each call says what its model offers instead."""

from collections.abc import Sequence
from typing import NoReturn

from pie.application.guest import Guest
from pie.core.errors import InvalidArgument
from pie.core.ids import QueueId, VirtualEmb
from pie.core.model import ModelInfo


def num_embs_needed(guest: Guest, model: str, width: int, height: int) -> NoReturn:
    del width, height
    raise _not_available(guest.control.model(model))


def embed_img(
    guest: Guest, queue: QueueId, blob: bytes, positions: Sequence[int], embs: Sequence[VirtualEmb]
) -> NoReturn:
    del blob, positions, embs
    raise _not_available(guest.session.model_of(queue))


def _not_available(model: ModelInfo) -> InvalidArgument:
    offered = ", ".join(model.traits)
    return InvalidArgument(f"trait not available: {model.name} has no input-image; it offers {offered}")


FUNCTIONS = (num_embs_needed, embed_img)
