"""Models and attention in torch: on a GPU, in full precision, and where nothing can be compiled."""

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from pie.core.errors import Unavailable
from pie.inference.attention import Attention
from pie.inference.devices import TorchDevice
from pie.inference.forms import BrainForm, Form, FullForm, RowForm
from pie.inference.llama import Llama
from pie.inference.prepared import Tensors
from pie.inference.products import BrainProduct, FullProduct, Product, RowProduct
from pie.inference.settings import InferenceSettings
from pie.inference.storage import PageStorage
from pie.inference.torch_attention import TorchAttention
from pie.inference.weights import LlamaWeights, llama_weights
from pie.models import ModelConfig

OnDevice = Mapping[str, torch.Tensor]
Load = Callable[[Form], Tensors]


@dataclass(frozen=True, slots=True)
class TorchOpener:
    """Opens models whose weights come from `load` on `device`, in `precision`."""

    load: Load
    config: ModelConfig
    settings: InferenceSettings
    device: TorchDevice
    precision: str

    def model(self, pages: PageStorage) -> Llama:
        """Raises `Unavailable`, and what `load` raises."""
        weights = self._weights()
        if not self.settings.cuda_graphs:
            return Llama(self.config, weights)
        graphed: Llama = with_triton("graphs").GraphedLlama(self.config, weights, pages, exact=self._exact)
        return graphed

    def attention(self, pages: PageStorage) -> Attention:
        if self.settings.device == "cpu" or self.settings.kernels == "torch":
            return TorchAttention(pages, self.config.heads)
        make = with_triton("attention").TritonAttention
        attention: Attention = make(pages, self.config.heads, exact=self._exact)
        return attention

    @property
    def _exact(self) -> bool:
        return self.precision == "fp32"

    def _weights(self) -> LlamaWeights:
        if self.precision == "fp32":
            return self._in_form(FullForm(self.config.tied_embeddings), full_product)
        if self.precision == "bf16":
            return self._in_form(BrainForm(), brain_product)
        if self.precision == "int8":
            return self._in_form(RowForm(), row_product)
        raise Unavailable(
            "precision 'int4' needs the compiled kernels; use 'int8', or install a C++ compiler"
        )

    def _in_form(self, form: Form, product: Callable[[OnDevice, str], Product]) -> LlamaWeights:
        tensors = {name: self.device.sent(array) for name, array in self.load(form).items()}
        return llama_weights(tensors, self.config, lambda name: product(tensors, name))


def with_triton(part: str) -> Any:
    """A module that only loads where Triton is installed, as it is with every torch for CUDA on Linux."""
    try:
        return importlib.import_module(f"pie.inference.triton_{part}")
    except ImportError as error:
        raise Unavailable(
            f"a GPU needs Triton ({error}); pip install triton, or set kernels to torch"
        ) from error


def full_product(tensors: OnDevice, name: str) -> Product:
    return FullProduct(tensors[name] if name in tensors else tensors["embedding"])


def brain_product(tensors: OnDevice, name: str) -> Product:
    return BrainProduct(tensors[name].view(torch.bfloat16))


def row_product(tensors: OnDevice, name: str) -> Product:
    return RowProduct(tensors[name], tensors[name + ".scales"])
