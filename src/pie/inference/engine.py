"""Which weights and kernels a driver works with: decided once, at its start, and said in one sentence."""

import importlib
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from pie.core.errors import Unavailable
from pie.core.progress import Progress
from pie.inference.attention import Attention, TorchAttention
from pie.inference.compiled import (
    MANY_INPUTS,
    MOST_HEAD_DIM,
    CompiledAttention,
    CompiledLlama,
    small_weights,
)
from pie.inference.devices import CPU
from pie.inference.forms import BrainForm, Form, FullForm, RowForm, SmallForm
from pie.inference.kernels.build import Builder, NoKernels
from pie.inference.kernels.library import Kernels
from pie.inference.layout import tensors_of
from pie.inference.llama import LayerWeights, Llama, LlamaWeights, family_vectors
from pie.inference.prepared import PreparedWeights, Tensors
from pie.inference.products import BrainProduct, FullProduct, Product, RowProduct, has_fast_int8
from pie.inference.settings import InferenceSettings
from pie.inference.sight import CompiledSight
from pie.inference.storage import KvPrecision, PageStorage
from pie.inference.visibility import Look, look
from pie.models import ModelConfig, StoredModel, open_weights

PRECISIONS = ("auto", "int4", "int8", "fp32", "bf16")
SMALL = {"int4": SmallForm((4,)), "int8": SmallForm((8,)), "int4 and int8": SmallForm((4, 8))}
"""Precisions of the compiled kernels. The last is what `auto` takes for a model's own 4-bit weights."""
MakeProduct = Callable[[Tensors, str], Product]
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Choice:
    """A precision that is none of `auto`, and why it was taken."""

    precision: str
    why: str = ""

    def __str__(self) -> str:
        return f"{self.precision} ({self.why})" if self.why else self.precision


@dataclass(frozen=True, slots=True)
class Engine:
    model: Llama
    attention: Attention
    pages: PageStorage
    look: Look
    precision: str
    """What was chosen and why, for people."""


@dataclass(frozen=True, slots=True)
class Opener:
    """Opens `model` with the caches in `home`."""

    model: StoredModel
    config: ModelConfig
    settings: InferenceSettings
    prepared: Path
    progress: Progress
    device: torch.device = CPU

    def open(self) -> Engine:
        """Raises `Unavailable` for what is not offered here, and what `PreparedWeights` raises."""
        self._refuse_graphs()
        kernels = self._kernels()
        choice = self._choose(kernels)
        pages = self._pages(self._choose_pages(choice, kernels))
        text = f"{choice}; pages in {pages.precision}"
        log.info("precision: %s", text)
        attention = self._attention(choice, kernels, pages)
        sees = look if kernels is None else CompiledSight(kernels).look
        return Engine(self._model(choice, kernels, pages), attention, pages, sees, text)

    def _refuse_graphs(self) -> None:
        if self.settings.cuda_graphs and self.device == CPU:
            raise Unavailable("cuda_graphs is for GPUs; leave it out, or set device to cuda")
        if self.settings.cuda_graphs and self.settings.kernels == "torch":
            raise Unavailable("cuda_graphs needs the Triton kernel; leave it out, or set kernels to auto")

    def _attention(self, choice: Choice, kernels: Kernels | None, pages: PageStorage) -> Attention:
        if kernels is not None:
            return CompiledAttention(kernels, pages, self.config.heads)
        if self.device == CPU or self.settings.kernels == "torch":
            return TorchAttention(pages, self.config.heads)
        attention: Attention = with_triton("attention").TritonAttention(
            pages, self.config.heads, exact=choice.precision == "fp32"
        )
        return attention

    def _pages(self, precision: KvPrecision) -> PageStorage:
        settings = self.settings
        return PageStorage(
            self.config, settings.pages, settings.page_size, settings.embs, precision, self.device
        )

    def _kernels(self) -> Kernels | None:
        if self.settings.kernels == "torch" or self.device != CPU:
            return None
        if self.config.head_dim > MOST_HEAD_DIM:
            log.warning(
                "the compiled kernels take heads of at most %d numbers, this model has %d; it runs in plain "
                "torch, at half the speed", MOST_HEAD_DIM, self.config.head_dim,
            )  # fmt: skip
            return None
        folder = Path(self.settings.kernels_folder or self.prepared.parent / "kernels")
        try:
            return Kernels(Builder(folder).build(self.progress), self.settings.threads)
        except NoKernels as error:
            log.warning("no compiled kernels; the model runs in plain torch, at half the speed: %s", error)
            return None

    def _choose(self, kernels: Kernels | None) -> Choice:
        asked = self.settings.precision
        if asked not in PRECISIONS:
            raise Unavailable(f"precision {asked!r} is not offered; use one of {', '.join(PRECISIONS)}")
        if self.device != CPU:
            return choose_on_gpu(asked)
        if asked != "auto":
            return Choice(asked)
        if kernels is not None and kernels.instructions != "plain":
            return self._choose_groups(kernels)
        if has_fast_int8():
            return Choice("int8", "plain torch: activations in two digits of 8 bits each")
        return Choice("fp32", "this processor has no fast products of small numbers")

    def _choose_pages(self, choice: Choice, kernels: Kernels | None) -> KvPrecision:
        asked = self.settings.kv_precision
        if asked == "auto":
            return "int8" if kernels is not None and choice.precision in SMALL else "fp32"
        if asked == "int8" and kernels is None:
            raise Unavailable("kv_precision 'int8' needs the compiled kernels, on the processor; use 'fp32'")
        if asked == "fp32":
            return "fp32"
        if asked == "int8":
            return "int8"
        raise Unavailable(f"kv_precision {asked!r} is not offered; use auto, fp32 or int8")

    def _choose_groups(self, kernels: Kernels) -> Choice:
        weights = open_weights(self.model)
        products = (tensor for tensor in tensors_of(self.config) if tensor.kind == "product")
        if all(weights.is_grouped(source.name) for tensor in products for source in tensor.sources):
            why = f"the model's own 4-bit weights; int8 from {MANY_INPUTS} inputs on; {kernels.instructions}"
            return Choice("int4 and int8", why)
        return Choice("int8", f"the model's weights have more than 4 bits; {kernels.instructions}")

    def _model(self, choice: Choice, kernels: Kernels | None, pages: PageStorage) -> Llama:
        if kernels is not None and choice.precision in SMALL:
            form = SMALL[choice.precision]
            weights = small_weights(kernels, self._load(form), self.config, form, MANY_INPUTS)
            return CompiledLlama(self.config, weights, kernels, pages)
        weights = self._torch_weights(choice.precision)
        if not self.settings.cuda_graphs:
            return Llama(self.config, weights)
        graphed: Llama = with_triton("graphs").GraphedLlama(
            self.config, weights, pages, exact=choice.precision == "fp32"
        )
        return graphed

    def _torch_weights(self, precision: str) -> LlamaWeights:
        if precision == "fp32":
            return plain_weights(self._load(FullForm(self.config.tied_embeddings)), self.config, full_product)
        if precision == "bf16":
            return plain_weights(self._load(BrainForm()), self.config, brain_product)
        if precision == "int8":
            return plain_weights(self._load(RowForm()), self.config, row_product)
        raise Unavailable(
            "precision 'int4' needs the compiled kernels; use 'int8', or install a C++ compiler"
        )

    def _load(self, form: Form) -> Tensors:
        tensors = PreparedWeights(self.prepared).load(self.model, self.config, form, self.progress)
        if self.device == CPU:
            return tensors
        return {name: tensor.to(self.device) for name, tensor in tensors.items()}


def choose_on_gpu(asked: str) -> Choice:
    if asked in ("int4", "int8"):
        raise Unavailable(f"precision {asked!r} is for the processor; on a GPU use bf16 or fp32")
    return Choice("bf16", "on a GPU") if asked == "auto" else Choice(asked)


def with_triton(part: str) -> Any:
    """A module that only loads where Triton is installed, as it is with every torch for CUDA on Linux."""
    try:
        return importlib.import_module(f"pie.inference.triton_{part}")
    except ImportError as error:
        raise Unavailable(
            f"a GPU needs Triton ({error}); pip install triton, or set kernels to torch"
        ) from error


def full_product(tensors: Tensors, name: str) -> Product:
    return FullProduct(tensors[name] if name in tensors else tensors["embedding"])


def brain_product(tensors: Tensors, name: str) -> Product:
    return BrainProduct(tensors[name].view(torch.bfloat16))


def row_product(tensors: Tensors, name: str) -> Product:
    return RowProduct(tensors[name], tensors[name + ".scales"])


def plain_weights(tensors: Tensors, config: ModelConfig, product: MakeProduct) -> LlamaWeights:
    def layer(index: int) -> LayerWeights:
        return LayerWeights(
            attention_norm=tensors[f"{index}.attention_norm"],
            qkv=product(tensors, f"{index}.qkv"),
            out=product(tensors, f"{index}.out"),
            mlp_norm=tensors[f"{index}.mlp_norm"],
            gate_up=product(tensors, f"{index}.gate_up"),
            down=product(tensors, f"{index}.down"),
            **family_vectors(config, tensors, index),
        )

    layers = [layer(index) for index in range(config.layers)]
    return LlamaWeights(tensors["embedding"], layers, tensors["norm"], product(tensors, "head"))
