"""Token slots of the fake: drawn at once, by the rules of the contract."""

from typing import Any

from inferlet.sampling import mix
from inferlet.testing.device import FakeDevice
from inferlet.testing.drawing import draw, penalised
from inferlet.testing.matchers import FakeMatchers
from inferlet.testing.pages import Named, invalid
from inferlet.testing.runtime import FakeRuntime, ModelRecord, TokenRun

KEPT = 256
"""Tokens that all sampling starts from."""


class FakeSlots:
    """The interface `sample`."""

    def __init__(self, device: FakeDevice, matchers: FakeMatchers, runtime: FakeRuntime) -> None:
        self.slots: Named[int | None] = Named("slot")
        self._device = device
        self._matchers = matchers
        self._runtime = runtime

    def alloc_slot(self, queue: int, slots: list[int]) -> None:
        self._runtime.command("alloc_slot", queue)
        self.slots.check_new(slots)
        self.slots.update(dict.fromkeys(slots))

    def dealloc_slot(self, queue: int, slots: list[int]) -> None:
        self._runtime.command("dealloc_slot", queue)
        self.slots.remove(slots)

    def sample(self, queue: int, emb: int, spec: Any, slot: int, matcher: int | None) -> None:
        self._runtime.command("sample", queue)
        self.slots.find(slot)
        seen = [*spec.seen, *map(self.token, spec.seen_slots)]
        self.slots[slot] = self._draw(emb, spec, spec.seed, seen, matcher)

    def _draw(self, emb: int, spec: Any, seed: int, seen: list[int], matcher: int | None) -> int:
        best = self._device.best(emb)
        if matcher is not None:
            best = self._matchers.allowed(matcher, best)
        token = draw(penalised(best[:KEPT], spec, seen), spec, seed)
        if matcher is not None:
            self._matchers.advance(matcher, [token])
        return token

    def embed_slot(self, queue: int, slots: list[int], positions: list[int], embs: list[int]) -> None:
        model = self._runtime.command("embed_slot", queue)
        if not len(slots) == len(positions) == len(embs):
            raise invalid(f"{len(slots)} slots, {len(positions)} positions and {len(embs)} embs")
        self._device.embed(model, [self.token(slot) for slot in slots], positions, embs)

    def read_slots(self, queue: int, slots: list[int]) -> int:
        self._runtime.command("read_slots", queue)
        return self._runtime.promise(queue, [self.token(slot) for slot in slots])

    def decode_ahead(
        self, queue: int, spec: Any, position: int, pages: list[int], offset: int, emb: int, oemb: int,
        count: int, stop: list[int], chunk: int, matcher: int | None, adapter: str | None,
    ) -> int:
        """All of it at once, and two steps after a stop token, as a server that runs ahead does at most."""
        model = self._runtime.command("decode_ahead", queue)
        if offset + count - 1 > len(pages) * model.page_size:
            raise invalid(f"{count} tokens from offset {offset} do not fit into {len(pages)} pages")
        found: list[int] = []
        left = count
        while left:
            seen = [*spec.seen, *found]
            found.append(self._draw(oemb, spec, mix(spec.seed, position + len(found)), seen, matcher))
            left = min(left - 1, 2) if found[-1] in stop else left - 1
            if left:
                done = len(found) - 1
                self._step(model, found[-1], position + done, pages, offset + done, emb, oemb, adapter or "")
        ends = [index for index, token in enumerate(found) if token in stop]
        return self._runtime.promise(queue, TokenRun(found[: ends[0] + 1 if ends else None], chunk))

    def _step(
        self, model: ModelRecord, token: int, position: int, pages: list[int], offset: int, emb: int,
        oemb: int, adapter: str,
    ) -> None:
        """One token through the model; it sees the tokens before `offset` in the pages."""
        page, at = divmod(offset, model.page_size)
        self._device.embed(model, [token], [position], [emb])
        seen, written = pages[: page + 1 if at else page], pages[page : page + 1]
        self._device.run(seen, [emb], written, at, [oemb], (), None, adapter)

    def token(self, slot: int) -> int:
        """What is in a slot."""
        token = self.slots.find(slot)
        if token is None:
            raise invalid(f"slot {slot} holds no token yet: `sample` into it first")
        return token
