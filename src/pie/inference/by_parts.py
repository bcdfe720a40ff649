"""A model of packed weights product by product, with torch between them: where LoRA adds something there, or
where somebody watches attention."""

from dataclasses import fields, replace

import numpy as np
import torch
from numpy.typing import NDArray

from pie.inference.attention import Attention
from pie.inference.compiled_attention import CompiledAttention
from pie.inference.llama import Llama
from pie.inference.lora import BatchLora
from pie.inference.packed_product import PackedProduct
from pie.inference.visibility import View
from pie.inference.weights import LayerWeights, LlamaWeights
from pie.models import ModelConfig

Floats = NDArray[np.float32]


class ByParts:
    """As `CompiledLlama` computes, and in numpy on the outside."""

    def __init__(self, config: ModelConfig, weights: LlamaWeights, threads: int) -> None:
        torch.set_num_threads(threads)
        self._model = Llama(config, tensor_weights(weights))

    @torch.inference_mode()
    def logits(self, hidden: Floats) -> Floats:
        found: Floats = self._model.logits(torch.from_numpy(hidden)).numpy()
        return found

    @torch.inference_mode()
    def hidden(
        self, inputs: Floats, turns: NDArray[np.complex64], attention: Attention, lora: BatchLora | None
    ) -> Floats:
        given = torch.from_numpy(inputs), torch.from_numpy(turns)
        found: Floats = self._model.hidden(*given, for_tensors(attention), lora).numpy()
        return found


class TensorProduct:
    """A `Product` of torch in front of one of numpy."""

    def __init__(self, product: PackedProduct) -> None:
        self._product = product

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        return torch.from_numpy(self._product(x.t().numpy())).t()

    def add(self, x: torch.Tensor, to: torch.Tensor) -> None:
        to.add_(self(x))


class TensorAttention(Attention):
    """An `Attention` for tensors in front of one for arrays."""

    def __init__(self, inner: CompiledAttention) -> None:
        self._inner = inner

    def begin(self, view: View) -> None:
        self._inner.begin(view)

    def store(self, layer: int, keys: torch.Tensor, values: torch.Tensor) -> None:
        self._inner.store(layer, keys.numpy(), values.numpy())

    def attend(self, layer: int, queries: torch.Tensor, windowed: bool = False) -> torch.Tensor:
        return torch.from_numpy(self._inner.attend(layer, queries.numpy(), windowed))


def for_tensors(attention: Attention) -> Attention:
    return TensorAttention(attention) if isinstance(attention, CompiledAttention) else attention


def tensor_weights(weights: LlamaWeights) -> LlamaWeights:
    return LlamaWeights(
        torch.from_numpy(weights.embedding),
        [tensor_layer(layer) for layer in weights.layers],
        torch.from_numpy(weights.norm),
        TensorProduct(weights.head),
    )


def tensor_layer(layer: LayerWeights) -> LayerWeights:
    every = ((field.name, getattr(layer, field.name)) for field in fields(layer))
    return replace(layer, **{name: for_torch(part) for name, part in every if part is not None})


def for_torch(part: NDArray[np.float32] | PackedProduct) -> torch.Tensor | TensorProduct:
    return TensorProduct(part) if isinstance(part, PackedProduct) else torch.from_numpy(part)
