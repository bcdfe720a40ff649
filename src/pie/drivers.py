"""Models and the driver of each: what a start begins with, as nothing else takes as long."""

from collections.abc import Sequence

from pie.core.errors import NotFound
from pie.core.progress import Progress
from pie.inference.early import EarlyProcess
from pie.inference.process import DriverProcess
from pie.inference.settings import InferenceSettings
from pie.models import (
    DEFAULT_MODEL,
    DEFAULT_SOURCE,
    ModelStore,
    ModelTokenizer,
    StoredModel,
    load_tokenizer,
)
from pie.settings import Settings


def inference_settings(settings: Settings) -> InferenceSettings:
    return InferenceSettings(
        page_size=settings.page_size,
        pages=settings.pages,
        host_pages=settings.host_pages,
        disk_pages=settings.disk_pages,
        swap_folder=str((settings.swap_dir or settings.home / "swap").absolute()),
        embs=settings.embs,
        slots=settings.slots,
        matchers=settings.matchers,
        grammars=settings.grammars,
        threads=settings.threads,
        precision=settings.precision,
        kv_precision=settings.kv_precision,
        kernels=settings.kernels,
        device=settings.device,
        cuda_graphs=settings.cuda_graphs,
        pass_seconds=settings.pass_seconds,
        adapters=tuple((name, str(folder.absolute())) for name, folder in settings.adapters.items()),
    )


def find_model(store: ModelStore, name: str, progress: Progress) -> StoredModel:
    """The named model; the default one is fetched when it is missing."""
    try:
        return store.get(name)
    except NotFound:
        if name != DEFAULT_MODEL:
            raise
        return store.pull(DEFAULT_SOURCE, progress)


def make_driver(model: StoredModel, settings: Settings, early: EarlyProcess | None = None) -> DriverProcess:
    return DriverProcess(model.folder, settings.home, inference_settings(settings), early=early)


def make_drivers(
    models: Sequence[StoredModel], settings: Settings, early: EarlyProcess | None = None
) -> dict[str, DriverProcess]:
    """One for each model. Adapters are for the first one, and so is a process that has begun already."""
    first, *others = models
    plain = settings.model_copy(update={"adapters": {}})
    return {
        first.name: make_driver(first, settings, early),
        **{model.name: make_driver(model, plain) for model in others},
    }


def find_models(store: ModelStore, settings: Settings, progress: Progress) -> list[StoredModel]:
    names = dict.fromkeys((settings.model, *settings.more_models))
    return [find_model(store, name, progress) for name in names]


def load_tokenizers(models: Sequence[StoredModel]) -> list[ModelTokenizer]:
    return [load_tokenizer(model) for model in models]
