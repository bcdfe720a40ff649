"""Names of models in the store."""

import re

from pie.core.errors import InvalidArgument

NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,95}")
QUANTISATION = re.compile(r"[.-](?:i?q\d(?:_\w+)?|f16|f32|bf16|fp16|fp32)$", re.IGNORECASE)


def is_name(name: str) -> bool:
    return NAME.fullmatch(name) is not None and ".." not in name


def check_name(name: str) -> str:
    if not is_name(name):
        raise InvalidArgument(
            f"{name!r} cannot be a model's name: use up to 96 lower-case letters, digits, dots, dashes "
            f"and underscores"
        )
    return name


def name_from(text: str) -> str:
    """`SmolLM2-135M-Instruct.Q4_1` -> `smollm2-135m-instruct`."""
    plain = QUANTISATION.sub("", text).lower()
    name = re.sub(r"[^a-z0-9._-]+|\.{2,}", "-", plain).strip("-._")[:96]
    return name or "model"
