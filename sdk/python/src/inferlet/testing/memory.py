"""Pages and embeddings of the fake, and pages that are published."""

from collections import deque
from typing import Any

from inferlet.testing.pages import Emb, ErrorKind, HostError, Named, Page, invalid
from inferlet.testing.records import Exported, HintAnswer, Lifetime_Lease, Lifetime_WithMe
from inferlet.testing.runtime import FakeRuntime
from inferlet.testing.tenant import Published, Tenant

BYTES_A_TOKEN = 8
"""What the fake says a token takes."""


class FakeMemory:
    """The interface `allocate`."""

    Lifetime_WithMe = Lifetime_WithMe
    Lifetime_Lease = Lifetime_Lease

    def __init__(self, runtime: FakeRuntime, tenant: Tenant) -> None:
        self.pages: Named[Page] = Named("page")
        self.embs: Named[Emb] = Named("emb")
        self.shortages: deque[int] = deque()
        """Pages that others need: whoever asks is told, one after the other."""
        self._imported: set[int] = set()
        self._runtime = runtime
        self._tenant = tenant

    def kvpage_size(self, model: str) -> int:
        return self._runtime.model(model).page_size

    def alloc_kvpage(self, queue: int, pages: list[int]) -> None:
        size = self._runtime.command("alloc_kvpage", queue).page_size
        self.pages.check_new(pages)
        self.pages.update((page, [None] * size) for page in pages)

    def dealloc_kvpage(self, queue: int, pages: list[int]) -> None:
        self._runtime.command("dealloc_kvpage", queue)
        self.pages.remove(pages)
        self._imported -= set(pages)

    def alloc_emb(self, queue: int, embs: list[int]) -> None:
        self._runtime.command("alloc_emb", queue)
        self.embs.check_new(embs)
        self.embs.update((emb, Emb()) for emb in embs)

    def dealloc_emb(self, queue: int, embs: list[int]) -> None:
        self._runtime.command("dealloc_emb", queue)
        self.embs.remove(embs)

    def copy_kvpage(self, queue: int, src: list[int], dst: list[int], spans: list[Any]) -> None:
        self._runtime.command("copy_kvpage", queue)
        for source, target, span in zip(src, dst, spans, strict=True):
            copied = self.pages.find(source)[span.src_offset : span.src_offset + span.length]
            self.written(target)[span.dst_offset : span.dst_offset + span.length] = copied

    def fork_kvpage(self, queue: int, src: list[int], dst: list[int]) -> None:
        self._runtime.command("fork_kvpage", queue)
        self.pages.check_new(dst)
        for source, target in zip(src, dst, strict=True):
            self.pages[target] = list(self.pages.find(source))

    def written(self, page: int) -> Page:
        """A page that is about to be written."""
        if page in self._imported:
            raise invalid(f"page {page} was imported and is read-only: write to a fork of it (fork_kvpage)")
        return self.pages.find(page)

    def export_kvpage(
        self, queue: int, pages: list[int], name: str, life: Any, max_bytes: int, about: bytes  # noqa: ARG002
    ) -> None:
        model = self._runtime.command("export_kvpage", queue)
        if self._find(model.name, name) is not None:
            raise invalid(f"the name {name!r} is in use: unexport it first, or take another one")
        copies = [list(self.pages.find(page)) for page in pages]
        self._tenant.exports[model.name, name] = Published(
            copies, bytes(about), getattr(life, "value", None), self._runtime
        )

    def import_kvpage(self, queue: int, name: str, pages: list[int]) -> None:
        model = self._runtime.command("import_kvpage", queue)
        found = self._find(model.name, name)
        if found is None:
            raise HostError(ErrorKind.UNKNOWN_ID, f"nothing is exported under the name {name!r}")
        if len(pages) != len(found.pages):
            raise invalid(f"{name!r} has {len(found.pages)} pages, not {len(pages)}")
        self.pages.check_new(pages)
        self.pages.update(zip(pages, map(list, found.pages), strict=True))
        self._imported |= set(pages)

    def unexport_kvpage(self, model: str, name: str) -> None:
        if self._find(model, name) is None:
            raise HostError(ErrorKind.UNKNOWN_ID, f"nothing is exported under the name {name!r}")
        del self._tenant.exports[model, name]

    def exported_kvpages(self, model: str) -> list[Exported]:
        names = [name for of, name in self._tenant.exports if of == model]
        return [found for name in names if (found := self.find_kvpages(model, name)) is not None]

    def find_kvpages(self, model: str, name: str) -> Exported | None:
        found = self._find(model, name)
        if found is None:
            return None
        size = len(found.pages) * self.kvpage_size(model) * BYTES_A_TOKEN
        return Exported(name, len(found.pages), size, found.about, found.lease, 0)

    def _find(self, model: str, name: str) -> Published | None:
        found = self._tenant.exports.get((model, name))
        alive = found is not None and (found.lease is not None or found.owner is self._runtime)
        return found if alive else None

    def retain_kvpage(self, queue: int, pages: list[int], ttl_ms: int) -> HintAnswer:  # noqa: ARG002
        return self._hint("retain_kvpage", queue, pages)

    def demote_kvpage(self, queue: int, pages: list[int]) -> HintAnswer:
        return self._hint("demote_kvpage", queue, pages)

    def prefetch_kvpage(self, queue: int, pages: list[int]) -> HintAnswer:
        return self._hint("prefetch_kvpage", queue, pages)

    def on_pressure(self, queue: int) -> int:
        self._runtime.model_of(queue)
        return self._runtime.listen(self.shortages)

    def take_pressure(self, future: int) -> int:
        self._runtime.take(future)
        return self.shortages.popleft()

    def _hint(self, name: str, queue: int, pages: list[int]) -> HintAnswer:
        """The fake has one tier: what is there stays there, and cannot go anywhere else."""
        self._runtime.command(name, queue)
        for page in pages:
            self.pages.find(page)
        return HintAnswer.REJECTED if name == "demote_kvpage" else HintAnswer.ACCEPTED
