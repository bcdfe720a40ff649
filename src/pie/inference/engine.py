"""A model, its pages and its kernels, opened in the precision and on the device that were chosen."""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pie.core.progress import Progress
from pie.inference.attention import Attention
from pie.inference.choice import FORMS, Choice, choose, choose_pages, refuse_graphs
from pie.inference.compiled import MANY_INPUTS, MOST_HEAD_DIM, CompiledLlama
from pie.inference.compiled_attention import CompiledAttention
from pie.inference.device import Device, Processor
from pie.inference.forms import Form
from pie.inference.kernels.build import Builder, NoKernels
from pie.inference.kernels.library import Kernels
from pie.inference.model import Model
from pie.inference.packed_product import packed_weights
from pie.inference.prepared import PreparedWeights, Tensors
from pie.inference.settings import InferenceSettings
from pie.inference.sight import CompiledSight
from pie.inference.storage import PageStorage
from pie.inference.torch_parts import torch_part
from pie.inference.visibility import Look, look
from pie.models import ModelConfig, StoredModel

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Engine:
    model: Model
    attention: Attention
    pages: PageStorage
    device: Device
    """Where the model computes."""
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

    def open(self) -> Engine:
        """Raises `Unavailable` for what is not offered here, `OutOfResources`, and what `PreparedWeights`
        raises."""
        refuse_graphs(self.settings)
        kernels = None if self._wants_torch() else self._kernels()
        if kernels is None:
            return self._open_in_torch()
        choice = choose(self.settings, self.model, self.config, kernels)
        pages = self._pages(choice, kernels, Processor())
        model = self._compiled(choice, kernels, pages)
        attention, sees = CompiledAttention(kernels, pages, self.config.heads), CompiledSight(kernels).look
        return Engine(model, attention, pages, Processor(), sees, said(choice, pages))

    def load(self, form: Form) -> Tensors:
        """The weights in that form, prepared first where they are not."""
        return PreparedWeights(self.prepared).load(self.model, self.config, form, self.progress)

    def _wants_torch(self) -> bool:
        return self.settings.device != "cpu" or self.settings.kernels == "torch"

    def _open_in_torch(self) -> Engine:
        choice = choose(self.settings, self.model, self.config, None)
        parts = self._torch(choice)
        with parts.device.room():
            pages = self._pages(choice, None, parts.device)
            model, attention = parts.model(pages), parts.attention(pages)
        return Engine(model, attention, pages, parts.device, look, said(choice, pages))

    def _torch(self, choice: Choice) -> Any:
        """A `TorchOpener`."""
        settings = self.settings
        device = torch_part("devices").open_device(settings.device, settings.threads)
        opener = torch_part("torch_engine").TorchOpener
        return opener(self.load, self.config, settings, device, choice.precision)

    def _pages(self, choice: Choice, kernels: Kernels | None, device: Device) -> PageStorage:
        settings = self.settings
        precision = choose_pages(settings.kv_precision, choice.precision, kernels)
        return PageStorage(self.config, settings.pages, settings.page_size, settings.embs, precision, device)

    def _compiled(self, choice: Choice, kernels: Kernels, pages: PageStorage) -> CompiledLlama:
        form = FORMS[choice.precision]
        weights = packed_weights(kernels, self.load(form), self.config, form, MANY_INPUTS)
        return CompiledLlama(self.config, weights, kernels, pages)

    def _kernels(self) -> Kernels | None:
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


def said(choice: Choice, pages: PageStorage) -> str:
    text = f"{choice}; pages in {pages.precision}"
    log.info("precision: %s", text)
    return text
