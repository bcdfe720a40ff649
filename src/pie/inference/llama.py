"""The Llama architecture and its relatives over a flat batch of tokens.

Between the layers the hidden states lie feature by feature, [features, inputs]: with the weights on the left
of each product, the CPU's matrix library is two to three times as fast for 3 to 32 inputs.

Each product is a `Product`, whatever form its weights have; beside each of them is the place where LoRA adds
what it has to. `compiled.py` has the same model with all layers in one call.
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import gelu, silu

from pie.inference.attention import Attention
from pie.inference.devices import fetched
from pie.inference.logits import allow_only, measure, top_tokens
from pie.inference.lora import BatchLora
from pie.inference.measures import Measures
from pie.inference.products import Product
from pie.inference.weights import LayerWeights, LlamaWeights
from pie.models import ModelConfig


class Llama:
    """A `Model` in torch."""

    def __init__(self, config: ModelConfig, weights: LlamaWeights) -> None:
        self.config = config
        self.weights = weights
        self._one_share = 1.0 / config.hidden_size
        self._queries = config.heads * config.head_dim
        self._turned = config.heads + config.kv_heads
        self._keys_end = self._turned * config.head_dim
        self._windowed = [config.is_windowed(layer) for layer in range(config.layers)]
        self._own_turns = config.window_rope_theta is not None

    def embed(self, tokens: torch.Tensor) -> torch.Tensor:
        vectors: torch.Tensor = self.weights.embedding.index_select(0, tokens)
        scale = self.config.embedding_scale
        return vectors if scale == 1.0 else vectors.mul_(scale)

    def hidden(
        self,
        inputs: torch.Tensor,
        turns: torch.Tensor,
        attention: Attention,
        lora: BatchLora | None = None,
    ) -> torch.Tensor:
        hidden = inputs.t().contiguous()
        for index, layer in enumerate(self.weights.layers):
            self._attend(hidden, index, layer, turns, attention, lora)
            self._mlp(hidden, index, layer, lora)
        return hidden.t()

    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.weights.head(self._norm(hidden.t().contiguous(), self.weights.norm))
        return found

    def measure(self, logits: torch.Tensor) -> Measures:
        return measure(logits)

    def best(self, hidden: torch.Tensor) -> tuple[NDArray[np.integer[Any]], NDArray[np.floating[Any]]]:
        measured = self.measure(self.logits(hidden))
        tokens, entropies = fetched(measured.tokens, measured.entropies)
        return tokens, entropies

    def allow_only(self, logits: torch.Tensor, columns: NDArray[np.int64], bits: NDArray[np.uint8]) -> None:
        allow_only(logits, columns, bits)

    def top_tokens(self, logits: torch.Tensor, count: int) -> torch.Tensor:
        return top_tokens(logits, count)

    def _attend(
        self,
        hidden: torch.Tensor,
        index: int,
        layer: LayerWeights,
        turns: torch.Tensor,
        attention: Attention,
        lora: BatchLora | None,
    ) -> None:
        windowed = self._windowed[index]
        normed = self._norm(hidden, layer.attention_norm)
        qkv = layer.qkv(normed).t().contiguous()
        if lora is not None:
            lora.add(index, "qkv", normed.t(), qkv)
        self._ready(qkv, layer, turns[int(windowed and self._own_turns)])
        attention.store(index, qkv[:, self._queries : self._keys_end], qkv[:, self._keys_end :])
        seen = attention.attend(index, qkv[:, : self._queries], windowed)
        self._add(hidden, index, "out", layer.out, seen.t(), layer.attention_post_norm, lora)

    def _ready(self, qkv: torch.Tensor, layer: LayerWeights, turns: torch.Tensor) -> None:
        """Biases, norms of heads, positions; in place."""
        if layer.qkv_bias is not None:
            qkv += layer.qkv_bias.view(-1)
        if layer.q_norm is not None and layer.k_norm is not None:
            self._norm_heads(qkv[:, : self._queries], layer.q_norm)
            self._norm_heads(qkv[:, self._queries : self._keys_end], layer.k_norm)
        self._turn(qkv, turns)

    def _norm_heads(self, rows: torch.Tensor, weight: torch.Tensor) -> None:
        """[inputs, heads * head_dim], in place."""
        heads = rows.view(len(rows), -1, self.config.head_dim)
        shares = heads.square().mean(-1, keepdim=True).add_(self.config.norm_eps).rsqrt_()
        heads.mul_(shares).mul_(weight.view(-1))

    def _add(
        self,
        hidden: torch.Tensor,
        index: int,
        name: str,
        product: Product,
        x: torch.Tensor,
        post_norm: torch.Tensor | None,
        lora: BatchLora | None,
    ) -> None:
        """The product of `x` [features, inputs], normalised where there is a norm behind it, to `hidden`."""
        to = hidden if post_norm is None else torch.zeros_like(hidden)
        product.add(x, to)
        if lora is not None:
            lora.add(index, name, x.t(), to.t())
        if post_norm is not None:
            hidden += self._norm(to, post_norm)

    def _turn(self, qkv: torch.Tensor, turns: torch.Tensor) -> None:
        pairs = qkv.view(len(qkv), -1, self.config.head_dim // 2, 2)[:, : self._turned]
        torch.view_as_complex(pairs).mul_(turns)

    def _mlp(self, hidden: torch.Tensor, index: int, layer: LayerWeights, lora: BatchLora | None) -> None:
        normed = self._norm(hidden, layer.mlp_norm)
        both = layer.gate_up(normed)
        if lora is not None:
            lora.add(index, "gate_up", normed.t(), both.t())
        gate, up = both.chunk(2)
        gelus = self.config.activation == "gelu_tanh"
        inner = (gelu(gate, approximate="tanh") if gelus else silu(gate, inplace=True)).mul_(up)
        self._add(hidden, index, "down", layer.down, inner, layer.mlp_post_norm, lora)

    def _norm(self, hidden: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        """[features, inputs]; root mean square over the features, `weight` is [features, 1]."""
        squares = (hidden * hidden).sum(0)
        return (hidden * weight).mul_(squares.mul_(self._one_share).add_(self.config.norm_eps).rsqrt_())
