"""Pages, forwards and distributions of the fake: executed at once, on plain Python lists."""

import math
import random
from typing import Any

from inferlet.testing.answers import Answer
from inferlet.testing.pages import Emb, Named, Page, Slot, invalid, sees
from inferlet.testing.runtime import PASS_MS, FakeRuntime, ModelRecord
from inferlet.testing.waiting import FakeFutures, Pending


class FakeDevice:
    """The interfaces `allocate`, `forward`, `input-text` and `output-text`."""

    def __init__(
        self, answer: Answer, runtime: FakeRuntime, futures: FakeFutures, calls: list[str]
    ) -> None:
        self.answer = answer
        self.pages: Named[Page] = Named("page")
        self.embs: Named[Emb] = Named("emb")
        self._runtime = runtime
        self._futures = futures
        self._calls = calls

    def kvpage_size(self, model: str) -> int:
        return self._runtime.model(model).page_size

    def alloc_kvpage(self, queue: int, pages: list[int]) -> None:
        size = self._command("alloc_kvpage", queue).page_size
        self.pages.check_new(pages)
        self.pages.update((page, [None] * size) for page in pages)

    def dealloc_kvpage(self, queue: int, pages: list[int]) -> None:
        self._command("dealloc_kvpage", queue)
        self.pages.remove(pages)

    def alloc_emb(self, queue: int, embs: list[int]) -> None:
        self._command("alloc_emb", queue)
        self.embs.check_new(embs)
        self.embs.update((emb, Emb()) for emb in embs)

    def dealloc_emb(self, queue: int, embs: list[int]) -> None:
        self._command("dealloc_emb", queue)
        self.embs.remove(embs)

    def copy_kvpage(self, queue: int, src: list[int], dst: list[int], spans: list[Any]) -> None:
        self._command("copy_kvpage", queue)
        for source, target, span in zip(src, dst, spans, strict=True):
            copied = self.pages.find(source)[span.src_offset : span.src_offset + span.length]
            self.pages.find(target)[span.dst_offset : span.dst_offset + span.length] = copied

    def fork_kvpage(self, queue: int, src: list[int], dst: list[int]) -> None:
        self._command("fork_kvpage", queue)
        self.pages.check_new(dst)
        for source, target in zip(src, dst, strict=True):
            self.pages[target] = list(self.pages.find(source))

    def _command(self, name: str, queue: int) -> ModelRecord:
        self._calls.append(name)
        return self._runtime.model_of(queue)

    def embed_txt(self, queue: int, tokens: list[int], positions: list[int], embs: list[int]) -> None:
        model = self._command("embed_txt", queue)
        if not len(tokens) == len(positions) == len(embs):
            raise invalid(f"{len(tokens)} tokens, {len(positions)} positions and {len(embs)} embs")
        for token, position, emb in zip(tokens, positions, embs, strict=True):
            if token >= model.vocabulary_size or position >= model.context_length:
                raise invalid(f"token {token} at position {position} is beyond the model")
            self.embs.find(emb)
            self.embs[emb] = Emb(Slot(token, position))

    def forward(
        self, queue: int, ikv: list[int], iemb: list[int], okv: list[int], okv_offset: int, oemb: list[int],
        outputs: list[int], mask: list[list[int]] | None,
    ) -> None:
        size = self._command("forward", queue).page_size
        inputs = [self._embedded(emb) for emb in iemb]
        keys = [slot for page in ikv for slot in self.pages.find(page)] + list(inputs)
        seen = [sees(slot, keys, mask[row] if mask is not None else None) for row, slot in enumerate(inputs)]
        self._store(inputs, okv, okv_offset, size)
        chosen = outputs or range(len(iemb) - len(oemb), len(iemb))
        for emb, index in zip(oemb, chosen, strict=True):
            self.embs.find(emb)
            self.embs[emb] = Emb(None, seen[index])

    def mask_kvpage(self, queue: int, page: int, visible: int) -> None:
        self._command("mask_kvpage", queue)
        slots = self.pages.find(page)
        for index, slot in enumerate(slots):
            if slot is not None:
                slots[index] = slot._replace(visible=bool(visible >> index & 1))

    def get_next_dist(self, queue: int, emb: int, top_k: int, tokens: list[int]) -> int:
        self._command("get_next_dist", queue)
        seen = self.embs.find(emb).seen
        if seen is None:
            raise invalid(f"emb {emb} holds no output of a forward")
        best = sorted(self.answer(seen).items(), key=lambda item: (-item[1], item[0]))
        kept = dict(best[:top_k]) | {token: dict(best).get(token, 0.0) for token in tokens}
        return self._futures.add(Pending(self._futures.milliseconds + PASS_MS, kept))

    def decode_step(
        self, queue: int, token: int, position: int, ikv: list[int], emb: int, okv: int, okv_offset: int,
        oemb: int, top_k: int,
    ) -> int:
        before = len(self._calls)
        self.embed_txt(queue, [token], [position], [emb])
        self.forward(queue, ikv, [emb], [okv], okv_offset, [oemb], [], None)
        dist = self.get_next_dist(queue, oemb, top_k, [])
        self._calls[before:] = ["decode_step"]
        return dist

    def decode_greedy(
        self, queue: int, token: int, position: int, pages: list[int], emb: int, oemb: int, count: int,
        stop: list[int],
    ) -> int:
        before = len(self._calls)
        size = self._runtime.model_of(queue).page_size
        found: list[int] = []
        while len(found) < count and not (found and found[-1] in stop):
            at = position + len(found)
            page, offset = divmod(at, size)
            seen = pages[: page + 1 if offset else page]
            dist = self.decode_step(queue, token, at, seen, emb, pages[page], offset, oemb, 1)
            found.append(token := self.take_max_index(dist))
        self._calls[before:] = ["decode_greedy"]
        return self._futures.add(Pending(self._futures.milliseconds, found))

    def take_tokens(self, run: int) -> list[int]:
        before = len(self._calls)
        tokens: list[int] = self._futures.find(run).value
        self._futures.drop([run])
        self._calls[before:] = ["take_tokens"]
        return tokens

    def take_max_index(self, dist: int) -> int:
        before = len(self._calls)
        self._futures.wait(dist)
        best = self.dist_max_index(dist)
        self._futures.drop([dist])
        self._calls[before:] = ["take_max_index"]
        return best

    def dist_max_index(self, dist: int) -> int:
        return next(iter(self._dist(dist)))

    def dist_sample(self, dist: int, how: Any) -> int:
        kept = list(self._dist(dist).items())[: how.top_k or None]
        weights = [share ** (1 / how.temperature) for _, share in kept]
        return random.Random(how.seed).choices([token for token, _ in kept], weights)[0]

    def dist_top(self, dist: int, k: int) -> tuple[list[int], list[float]]:
        best = list(self._dist(dist).items())[:k]
        return [token for token, _ in best], [share for _, share in best]

    def dist_logprob(self, dist: int, token: int) -> float:
        kept = self._dist(dist)
        if token not in kept:
            raise invalid(f"the distribution does not keep token {token}: ask for it in `tokens`")
        return math.log(kept[token]) if kept[token] else -math.inf

    def dist_entropy(self, dist: int) -> float:
        return -sum(share * math.log(share) for share in self._dist(dist).values() if share)

    def _embedded(self, emb: int) -> Slot:
        slot = self.embs.find(emb).slot
        if slot is None:
            raise invalid(f"emb {emb} holds no embedded token")
        return slot

    def _store(self, inputs: list[Slot], okv: list[int], offset: int, size: int) -> None:
        if not okv:
            return
        if offset + len(inputs) > len(okv) * size:
            raise invalid(f"{len(inputs)} tokens from offset {offset} do not fit into {len(okv)} pages")
        for index, slot in enumerate(inputs, offset):
            self.pages.find(okv[index // size])[index % size] = slot

    def _dist(self, dist: int) -> dict[int, float]:
        pending = self._futures.find(dist)
        if not self._futures.is_ready(pending):
            raise invalid(f"distribution {dist} is not ready: wait for it")
        kept: dict[int, float] = pending.value
        return kept
