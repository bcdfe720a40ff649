"""What handlers need of a model: `Llama` in torch, or `CompiledLlama` in numpy."""

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from pie.inference.attention import Attention
from pie.inference.columns import Columns
from pie.inference.device import Array
from pie.inference.measures import Measures
from pie.models import ModelConfig


class Model(Protocol):
    @property
    def config(self) -> ModelConfig: ...

    def embed(self, tokens: Array) -> Array:
        """[tokens, hidden]"""
        ...

    def hidden(self, inputs: Array, turns: Array, attention: Attention, lora: Any = None) -> Array:
        """[inputs, hidden] through all layers, before the last norm. `turns` come from `Rotary`, `lora` from
        `Adapters`."""
        ...

    def logits(self, hidden: Array) -> Array:
        """[rows, hidden] before the last norm to [vocabulary, rows], good until the next call."""
        ...

    def measure(self, logits: Array) -> Measures:
        """Of what `logits` gave, perhaps changed since."""
        ...

    def best(self, hidden: Array) -> tuple[NDArray[np.integer[Any]], NDArray[np.floating[Any]]]:
        """The best token of each row's `logits`, and a number that is finite where these are."""
        ...

    def allow_only(self, logits: Array, columns: NDArray[np.int64], bits: NDArray[np.uint8]) -> None:
        """Leaves the tokens of the mask's rows (token t: bit t % 8 of byte t // 8) in those columns of what
        `logits` gave, in place."""
        ...

    def top_tokens(self, logits: Array, count: int) -> Array:
        """The `count` best tokens of each column of what `logits` gave, descending: [rows, count]."""
        ...


class Adapters(Protocol):
    """A driver's LoRA adapters."""

    def batch(self, work: Columns) -> Any:
        """Who goes through which adapter, for `hidden`; None for a pass without any."""
        ...
