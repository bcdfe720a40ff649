"""The heart of the driver: executes passes on a model."""

import logging
import time
from pathlib import Path
from typing import Any

from pie.core.driver import DriverSpec
from pie.core.passes import Pass, PassResult, RowFault, fault_columns
from pie.core.progress import NoProgress, Progress
from pie.inference.checks import Contents, find_fault
from pie.inference.checks_matchers import matcher_faults
from pie.inference.columns import Columns, columns_of
from pie.inference.device import Device
from pie.inference.disk_storage import DiskStorage
from pie.inference.engine import Engine, Opener
from pie.inference.handlers.copy import copy_tokens
from pie.inference.handlers.distribution import NotFinite
from pie.inference.handlers.embed import embed_slots, embed_tokens
from pie.inference.handlers.forward import Forward
from pie.inference.handlers.fresh import clear_fresh_pages
from pie.inference.handlers.mask import mask_pages
from pie.inference.handlers.matchers import masked_distributions
from pie.inference.handlers.sample import Samples
from pie.inference.handlers.score import score_tokens
from pie.inference.handlers.swap import swap_pages
from pie.inference.host_storage import HostStorage
from pie.inference.matchers import MatcherTable
from pie.inference.model import Adapters
from pie.inference.rotary import Rotary
from pie.inference.settings import InferenceSettings
from pie.inference.storage import EmbStorage, SlotStorage
from pie.inference.torch_parts import torch_part
from pie.inference.wire import WorkerOptions
from pie.models import ModelConfig, StoredModel, load_tokenizer, open_adapter, open_model, read_config
from pie.models.grammar import GrammarVocabulary

log = logging.getLogger(__name__)


class ModelExecutor:
    """One model, one device. `prepared`: folder of the prepared weights (default: beside the model's folder,
    `PIE_HOME/prepared`). Raises `Unavailable`, `OutOfResources` or `BadModel` when it cannot start."""

    def __init__(
        self,
        model: StoredModel,
        settings: InferenceSettings,
        prepared: Path | None = None,
        progress: Progress | None = None,
    ) -> None:
        config = read_config(model)
        cache = prepared or model.folder.parent.parent / "prepared"
        self._slots = SlotStorage(settings.slots)
        self.engine = engine = Opener(model, config, settings, cache, progress or NoProgress()).open()
        with engine.device.room():
            self._embs = EmbStorage(settings.embs, config.hidden_size, engine.device)
        self._model, self._pages = engine.model, engine.pages
        self.disk = open_disk(settings)
        self._host = HostStorage(settings.host_pages, self.disk)
        lora, rotary = open_lora(config, settings, engine.device), Rotary(config)
        self._forward = Forward(
            self._model, rotary, engine.attention, self._pages, self._embs, lora, engine.look
        )
        self._matchers = open_matchers(model, config)
        self._samples = Samples(self._model, self._embs, self._slots, self._matchers)
        self._spec = make_spec(config, settings, engine)

    @property
    def spec(self) -> DriverSpec:
        return self._spec

    def execute(self, work: Pass) -> PassResult:
        """Never raises for a fault of the pass or the model: `error` says it."""
        started = time.perf_counter()
        try:
            columns = columns_of(work)
            refuse_fault(find_fault(columns, self._spec, Contents(self._embs.written, self._slots.written)))
            refuse_fault(next(matcher_faults(work, self._spec), ""))
            with self.engine.device.working():
                faults = self._matchers.run(work)
                found = self._run(columns, faults)
            found |= self._matchers.answer(work, faults)
            return PassResult(work.number, time.perf_counter() - started, **found, **fault_columns(faults))
        except (BadPass, NotFinite) as error:
            return failed(work, started, str(error))
        except (RuntimeError, MemoryError, ArithmeticError, LookupError, ValueError, TypeError) as error:
            log.exception("pass %d failed", work.number)
            return failed(work, started, f"the driver failed: {type(error).__name__}: {error}")

    def _run(self, work: Columns, faults: list[RowFault]) -> dict[str, Any]:
        swap_pages(work, self._pages, self._host, faults)
        clear_fresh_pages(work, self._pages)
        copy_tokens(work, self._pages)
        mask_pages(work, self._pages)
        embed_tokens(work, self._model, self._embs)
        embed_slots(work, self._model, self._embs, self._slots)
        stats = self._forward.run(work)
        return {
            **stats,
            **masked_distributions(work, self._model, self._embs, self._matchers, faults),
            **score_tokens(work, self._model, self._embs),
            **self._samples.run(work, faults),
        }


class BadPass(ValueError):
    """A pass that is out of bounds: a bug of whoever built it."""


def refuse_fault(fault: str) -> None:
    if fault:
        raise BadPass(f"a bad pass: {fault}")


def failed(work: Pass, started: float, error: str) -> PassResult:
    return PassResult(work.number, time.perf_counter() - started, error=error)


def make_spec(config: ModelConfig, settings: InferenceSettings, engine: Engine) -> DriverSpec:
    return DriverSpec(
        page_size=settings.page_size,
        pages=settings.pages,
        embs=settings.embs,
        slots=settings.slots,
        matchers=settings.matchers,
        grammars=settings.grammars,
        vocabulary_size=config.vocabulary_size,
        context_length=config.context_length,
        precision=engine.precision,
        device=settings.device,
        adapters=tuple(name for name, _ in settings.adapters),
        host_pages=settings.host_pages,
        disk_pages=settings.disk_pages,
        page_bytes=engine.pages.page_bytes,
    )


def open_disk(settings: InferenceSettings) -> DiskStorage | None:
    """Raises `Unavailable` where nothing can be written."""
    folder = Path(settings.swap_folder) if settings.swap_folder else None
    return DiskStorage(folder) if settings.disk_pages else None


def open_lora(config: ModelConfig, settings: InferenceSettings, device: Device) -> Adapters | None:
    """None where there are none. Raises `BadModel` for an adapter that cannot be read or is not for this
    model."""
    if not settings.adapters:
        return None
    adapters = [open_adapter(name, Path(folder), config) for name, folder in settings.adapters]
    lora: Adapters = torch_part("lora").Lora(adapters, config, device)
    return lora


def open_matchers(model: StoredModel, config: ModelConfig) -> MatcherTable:
    """Reads the tokenizer when the first grammar comes."""

    def vocabulary() -> GrammarVocabulary:
        tokenizer, stop_tokens = load_tokenizer(model), model.details.stop_tokens
        return GrammarVocabulary(
            tokenizer.vocabulary(), tokenizer.special_tokens(), stop_tokens, tokenizer.encode
        )

    return MatcherTable(vocabulary, config.vocabulary_size)


def open_executor(options: WorkerOptions, progress: Progress) -> ModelExecutor:
    """What the driver process runs."""
    model = open_model(Path(options.model_folder))
    return ModelExecutor(model, options.settings, Path(options.home) / "prepared", progress)
