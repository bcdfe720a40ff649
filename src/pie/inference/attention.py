"""What a model needs of attention over paged keys and values, whoever computes it."""

from typing import Protocol

from pie.inference.device import Array
from pie.inference.visibility import View


class Attention(Protocol):
    """Built once; `begin` for each pass, then for each layer `store` and `attend`."""

    def begin(self, view: View) -> None: ...

    def store(self, layer: int, keys: Array, values: Array) -> None:
        """Keeps the pass's own keys and values ([inputs, kv_heads * head_dim]) in their places."""
        ...

    def attend(self, layer: int, queries: Array, windowed: bool = False) -> Array:
        """[inputs, heads * head_dim] to the same; an input that sees nothing gets zeros. `windowed`: by what
        the view has for layers with a sliding window."""
        ...
