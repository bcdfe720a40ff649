"""Forwards and distributions of the fake: executed at once, on plain Python lists."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from inferlet.testing.answers import Answer
from inferlet.testing.drawing import Shares, draw, penalised, ranked
from inferlet.testing.memory import FakeMemory
from inferlet.testing.pages import Emb, Slot, invalid, sees
from inferlet.testing.runtime import FakeRuntime, ModelRecord, TokenRun
from inferlet.testing.waiting import FakeFutures


class FakeDevice:
    """The interfaces `forward`, `input-text` and `output-text`."""

    def __init__(
        self, answer: Answer, adapters: Mapping[str, Answer], memory: FakeMemory, runtime: FakeRuntime,
        futures: FakeFutures, calls: list[str],
    ) -> None:
        self.answer = answer
        self.adapters = adapters
        self.pages = memory.pages
        self.embs = memory.embs
        self._memory = memory
        self._runtime = runtime
        self._futures = futures
        self._calls = calls

    def embed_txt(self, queue: int, tokens: list[int], positions: list[int], embs: list[int]) -> None:
        model = self._runtime.command("embed_txt", queue)
        if not len(tokens) == len(positions) == len(embs):
            raise invalid(f"{len(tokens)} tokens, {len(positions)} positions and {len(embs)} embs")
        self.embed(model, tokens, positions, embs)

    def embed(self, model: ModelRecord, tokens: list[int], positions: list[int], embs: list[int]) -> None:
        """Puts tokens into embeddings, wherever they come from."""
        for token, position, emb in zip(tokens, positions, embs, strict=True):
            if token >= model.vocabulary_size or position >= model.context_length:
                raise invalid(f"token {token} at position {position} is beyond the model")
            self.embs.find(emb)
            self.embs[emb] = Emb(Slot(token, position))

    def forward(
        self, queue: int, ikv: list[int], iemb: list[int], okv: list[int], okv_offset: int, oemb: list[int],
        outputs: list[int], mask: list[list[int]] | None,
    ) -> None:
        self._runtime.command("forward", queue)
        self.run(ikv, iemb, okv, okv_offset, oemb, outputs, mask, "")

    def forward_with_adapter(
        self, queue: int, adapter: str, ikv: list[int], iemb: list[int], okv: list[int], okv_offset: int,
        oemb: list[int], outputs: list[int], mask: list[list[int]] | None,
    ) -> None:
        self._runtime.command("forward_with_adapter", queue)
        self.run(ikv, iemb, okv, okv_offset, oemb, outputs, mask, adapter)

    def run(
        self, ikv: list[int], iemb: list[int], okv: list[int], okv_offset: int, oemb: list[int],
        outputs: Sequence[int], mask: list[list[int]] | None, adapter: str,
    ) -> None:
        """A forward. An adapter is another answer; it goes with the outputs that were made through it."""
        if adapter and adapter not in self.adapters:
            raise invalid(f"no adapter {adapter!r}; there are: {', '.join(self.adapters) or 'none'}")
        inputs = [self._embedded(emb) for emb in iemb]
        size = len(self.pages.find(okv[0])) if okv else 1
        written = {(okv[at // size], at % size) for at in range(okv_offset, okv_offset + len(iemb)) if okv}
        keys = [
            None if (page, at) in written else slot
            for page in ikv for at, slot in enumerate(self.pages.find(page))
        ] + list(inputs)
        seen = [sees(slot, keys, mask[row] if mask is not None else None) for row, slot in enumerate(inputs)]
        self._store(inputs, okv, okv_offset)
        chosen = outputs or range(len(iemb) - len(oemb), len(iemb))
        for emb, index in zip(oemb, chosen, strict=True):
            self.embs.find(emb)
            self.embs[emb] = Emb(None, seen[index], adapter)

    def available_adapters(self, model: str) -> list[str]:
        self._runtime.model(model)
        return list(self.adapters)

    def mask_kvpage(self, queue: int, page: int, visible: int) -> None:
        self._runtime.command("mask_kvpage", queue)
        slots = self.pages.find(page)
        for index, slot in enumerate(slots):
            if slot is not None:
                slots[index] = slot._replace(visible=bool(visible >> index & 1))

    def get_next_dist(self, queue: int, emb: int, top_k: int, tokens: list[int]) -> int:
        self._runtime.command("get_next_dist", queue)
        return self.promise_dist(queue, self.best(emb), top_k, tokens)

    def promise_dist(self, queue: int, best: Shares, top_k: int, tokens: list[int]) -> int:
        """The future of a distribution of which the `top_k` best and the `tokens` are kept."""
        kept = dict(best[:top_k]) | {token: dict(best).get(token, 0.0) for token in tokens}
        return self._runtime.promise(queue, kept)

    def best(self, emb: int) -> Shares:
        """What the model answers to the tokens that an output has seen."""
        seen = self.embs.find(emb).seen
        if seen is None:
            raise invalid(f"emb {emb} holds no output of a forward")
        adapter = self.embs.find(emb).adapter
        return ranked((self.adapters[adapter] if adapter else self.answer)(seen))

    def take_tokens(self, run: int) -> list[int]:
        self._calls.append("take_tokens")
        found = self._futures.finish(run)
        tokens: list[int] = found.take() if isinstance(found, TokenRun) else found
        if not isinstance(found, TokenRun) or not found.tokens:
            self._futures.pending.pop(run)
        return tokens

    def dist_max_index(self, dist: int) -> int:
        return next(iter(self._dist(dist)))

    def dist_sample(self, dist: int, how: Any) -> int:
        best = [(token, share) for token, share in self._dist(dist).items() if share]
        return draw(penalised(best, how, how.seen), how, how.seed)

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

    def _store(self, inputs: list[Slot], okv: list[int], offset: int) -> None:
        if not okv:
            return
        size = len(self.pages.find(okv[0]))
        if offset + len(inputs) > len(okv) * size:
            raise invalid(f"{len(inputs)} tokens from offset {offset} do not fit into {len(okv)} pages")
        for index, slot in enumerate(inputs, offset):
            self._memory.written(okv[index // size])[index % size] = slot

    def _dist(self, dist: int) -> dict[int, float]:
        pending = self._futures.find(dist)
        if not self._futures.is_ready(pending):
            raise invalid(f"distribution {dist} is not ready: wait for it")
        kept: dict[int, float] = pending.value
        return kept
