"""Which precision a driver works with, of weights and of pages: decided once, at its start, and why."""

from dataclasses import dataclass

from pie.core.errors import Unavailable
from pie.inference.compiled import MANY_INPUTS
from pie.inference.forms import PackedForm
from pie.inference.kernels.library import Kernels
from pie.inference.layout import tensors_of
from pie.inference.settings import InferenceSettings
from pie.inference.storage import KvPrecision
from pie.inference.torch_parts import torch_part
from pie.models import ModelConfig, StoredModel, open_weights

PRECISIONS = ("auto", "int4", "int8", "fp32", "bf16")
FORMS = {
    "int4": PackedForm((4,)),
    "int8": PackedForm((8,)),
    "int4 and int8": PackedForm((4, 8)),
    "bf16": PackedForm((16,)),
    "fp32": PackedForm((32,)),
}
"""Weights of the compiled kernels by precision. `auto` takes the third for a model's own 4-bit weights."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A precision that is none of `auto`, and why it was taken."""

    precision: str
    why: str = ""

    def __str__(self) -> str:
        return f"{self.precision} ({self.why})" if self.why else self.precision


def refuse_graphs(settings: InferenceSettings) -> None:
    """Raises `Unavailable` where they were asked for and cannot be had."""
    if settings.cuda_graphs and settings.device == "cpu":
        raise Unavailable("cuda_graphs is for GPUs; leave it out, or set device to cuda")
    if settings.cuda_graphs and settings.kernels == "torch":
        raise Unavailable("cuda_graphs needs the Triton kernel; leave it out, or set kernels to auto")


def choose(
    settings: InferenceSettings, model: StoredModel, config: ModelConfig, kernels: Kernels | None
) -> Choice:
    """Raises `Unavailable` for what is not offered."""
    asked = settings.precision
    if asked not in PRECISIONS:
        raise Unavailable(f"precision {asked!r} is not offered; use one of {', '.join(PRECISIONS)}")
    if settings.device != "cpu":
        return choose_on_gpu(asked)
    if asked != "auto":
        return Choice(asked)
    if kernels is not None and kernels.instructions != "plain":
        return choose_small(kernels, model, config)
    if torch_part("products").has_fast_int8():
        return Choice("int8", "plain torch: activations in two digits of 8 bits each")
    return Choice("fp32", "this processor has no fast products of small numbers")


def choose_on_gpu(asked: str) -> Choice:
    if asked in ("int4", "int8"):
        raise Unavailable(f"precision {asked!r} is for the processor; on a GPU use bf16 or fp32")
    return Choice("bf16", "on a GPU") if asked == "auto" else Choice(asked)


def choose_small(kernels: Kernels, model: StoredModel, config: ModelConfig) -> Choice:
    weights = open_weights(model)
    products = (tensor for tensor in tensors_of(config) if tensor.kind == "product")
    if all(weights.is_grouped(source.name) for tensor in products for source in tensor.sources):
        why = f"the model's own 4-bit weights; int8 from {MANY_INPUTS} inputs on; {kernels.instructions}"
        return Choice("int4 and int8", why)
    return Choice("int8", f"the model's weights have more than 4 bits; {kernels.instructions}")


def choose_pages(asked: str, precision: str, kernels: Kernels | None) -> KvPrecision:
    """For weights in `precision`. Raises `Unavailable` for what is not offered."""
    if asked == "auto":
        return "int8" if kernels is not None and precision.startswith("int") else "fp32"
    if asked == "int8" and kernels is None:
        raise Unavailable("kv_precision 'int8' needs the compiled kernels, on the processor; use 'fp32'")
    if asked == "fp32":
        return "fp32"
    if asked == "int8":
        return "int8"
    raise Unavailable(f"kv_precision {asked!r} is not offered; use auto, fp32 or int8")
