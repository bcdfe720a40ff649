"""The Llama architecture over a flat batch of tokens.

Between the layers the hidden states lie feature by feature, [features, inputs]: with the weights on the left
of each product, the CPU's matrix library is two to three times as fast for 3 to 32 inputs.

Each product is a `Product`, whatever form its weights have; beside each of them is the place where LoRA adds
what it has to. `compiled.py` has the same model with all layers in one call.
"""

from dataclasses import dataclass

import torch
from torch.nn.functional import silu

from pie.inference.attention import Attention
from pie.inference.lora import BatchLora
from pie.inference.measures import Measures, measure, top_tokens
from pie.inference.products import Product
from pie.models import ModelConfig


@dataclass(frozen=True, slots=True)
class LayerWeights:
    """`qkv`, `gate_up`: fused by rows, queries and keys in rotary pairs. Norms are [hidden, 1]."""

    attention_norm: torch.Tensor
    qkv: Product
    out: Product
    mlp_norm: torch.Tensor
    gate_up: Product
    down: Product


@dataclass(frozen=True, slots=True)
class LlamaWeights:
    embedding: torch.Tensor
    """[vocabulary, hidden]"""
    layers: list[LayerWeights]
    norm: torch.Tensor
    head: Product
    """hidden to vocabulary"""


class Llama:
    def __init__(self, config: ModelConfig, weights: LlamaWeights) -> None:
        self.config = config
        self.weights = weights
        self._one_share = 1.0 / config.hidden_size
        self._queries = config.heads * config.head_dim
        self._turned = config.heads + config.kv_heads
        self._keys_end = self._turned * config.head_dim

    def embed(self, tokens: torch.Tensor) -> torch.Tensor:
        """[tokens, hidden]"""
        return self.weights.embedding.index_select(0, tokens)

    def hidden(
        self,
        inputs: torch.Tensor,
        turns: torch.Tensor,
        attention: Attention,
        lora: BatchLora | None = None,
    ) -> torch.Tensor:
        """[inputs, hidden] through all layers, before the last norm. `turns` come from `Rotary`."""
        hidden = inputs.t().contiguous()
        for index, layer in enumerate(self.weights.layers):
            self._attend(hidden, index, layer, turns, attention, lora)
            self._mlp(hidden, index, layer, lora)
        return hidden.t()

    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        """[rows, hidden] before the last norm to [vocabulary, rows]."""
        return self.weights.head(self._norm(hidden.t().contiguous(), self.weights.norm))

    def measure(self, logits: torch.Tensor) -> Measures:
        """Of what `logits` gave, perhaps changed since."""
        return measure(logits)

    def top_tokens(self, logits: torch.Tensor, count: int) -> torch.Tensor:
        """The `count` best tokens of each column of what `logits` gave, descending: [rows, count]."""
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
        normed = self._norm(hidden, layer.attention_norm)
        qkv = layer.qkv(normed).t().contiguous()
        if lora is not None:
            lora.add(index, "qkv", normed.t(), qkv)
        self._turn(qkv, turns)
        attention.store(index, qkv[:, self._queries : self._keys_end], qkv[:, self._keys_end :])
        seen = attention.attend(index, qkv[:, : self._queries])
        layer.out.add(seen.t(), hidden)
        if lora is not None:
            lora.add(index, "out", seen, hidden.t())

    def _turn(self, qkv: torch.Tensor, turns: torch.Tensor) -> None:
        pairs = qkv.view(len(qkv), -1, self.config.head_dim // 2, 2)[:, : self._turned]
        torch.view_as_complex(pairs).mul_(turns)

    def _mlp(self, hidden: torch.Tensor, index: int, layer: LayerWeights, lora: BatchLora | None) -> None:
        normed = self._norm(hidden, layer.mlp_norm)
        both = layer.gate_up(normed)
        if lora is not None:
            lora.add(index, "gate_up", normed.t(), both.t())
        gate, up = both.chunk(2)
        inner = silu(gate, inplace=True).mul_(up)
        layer.down.add(inner, hidden)
        if lora is not None:
            lora.add(index, "down", inner.t(), hidden.t())

    def _norm(self, hidden: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        """[features, inputs]; root mean square over the features, `weight` is [features, 1]."""
        squares = (hidden * hidden).sum(0)
        return (hidden * weight).mul_(squares.mul_(self._one_share).add_(self.config.norm_eps).rsqrt_())
