"""`pie:inferlet/input-image`: not built yet."""

from typing import NoReturn

from pie.application.guest import Guest
from pie.core.errors import Unavailable


def num_embs_needed(guest: Guest, model: object, width: object, height: object) -> NoReturn:
    raise Unavailable("num-embs-needed is not built yet")


def embed_img(guest: Guest, queue: object, blob: object, positions: object, embs: object) -> NoReturn:
    raise Unavailable("embed-img is not built yet")


FUNCTIONS = (num_embs_needed, embed_img,)
