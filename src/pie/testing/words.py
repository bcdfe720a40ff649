"""A small made-up model to give to the fake driver."""

from pie.core.driver import DriverSpec
from pie.core.model import ModelInfo


def fake_spec(
    pages: int = 64,
    embs: int = 256,
    page_size: int = 16,
    vocabulary: int = 509,
    context: int = 4096,
    adapters: tuple[str, ...] = (),
    slots: int = 64,
    matchers: int = 64,
    grammars: int = 4,
    host_pages: int = 0,
    disk_pages: int = 0,
) -> DriverSpec:
    return DriverSpec(
        page_size=page_size,
        pages=pages,
        embs=embs,
        slots=slots,
        matchers=matchers,
        grammars=grammars,
        vocabulary_size=vocabulary,
        context_length=context,
        precision="none",
        device="fake",
        adapters=adapters,
        host_pages=host_pages,
        disk_pages=disk_pages,
        page_bytes=1000,
    )


def fake_model(spec: DriverSpec, name: str = "fake") -> ModelInfo:
    return ModelInfo(
        name=name,
        description="answers from hashes",
        version="1",
        license="none",
        chat_template="",
        context_length=spec.context_length,
        vocabulary_size=spec.vocabulary_size,
        page_size=spec.page_size,
    )
