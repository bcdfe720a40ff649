"""What a program's pages should hold: commands executed one by one, no sharing, no batches, no pools.

Written apart from the control layer and the fake driver; what they have in common is the arithmetic of a
fake token (`pie.testing.tokens`) and of a fake distribution (`HashedScores`).
"""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

from naive_slots import NaiveSlots

from pie.core.commands import (
    AllocEmbs,
    AllocPages,
    AllocSlots,
    Command,
    CopyPages,
    DecodeAhead,
    Dist,
    EmbedSlots,
    EmbedText,
    ExportPages,
    ForkPages,
    Forward,
    FreeEmbs,
    FreePages,
    FreeSlots,
    ImportPages,
    MaskPage,
    NextDist,
    ReadSlots,
    Sample,
    Score,
)
from pie.testing import HashedScores
from pie.testing.scores import BEST_LOGIT
from pie.testing.tokens import FakeToken, embed, first_key, hidden, second_key


@dataclass
class NaivePage:
    tokens: list[FakeToken | None]
    visible: list[bool]

    @classmethod
    def empty(cls, size: int) -> "NaivePage":
        return cls([None] * size, [True] * size)


NaiveExports = dict[str, list[NaivePage]]
"""Contents by name."""


@dataclass
class NaiveProgram:
    """Contents by virtual id."""

    page_size: int
    scores: HashedScores
    exports: NaiveExports = field(default_factory=dict)
    """Those of its tenant."""
    pages: dict[int, NaivePage] = field(default_factory=dict)
    embs: dict[int, tuple[int, int] | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._sampler = NaiveSlots(len(self.scores.top(0, 1 << 20)[0]), self.scores)
        self.slots = self._sampler.tokens

    def execute(self, command: Command) -> Any:
        """The answer, where the command has one."""
        if isinstance(command, Sample | EmbedSlots | ReadSlots | DecodeAhead | Score):
            return self._use_slots(command)
        if isinstance(command, NextDist):
            return self._dist(command)
        if isinstance(command, Forward):
            self._forward(command)
        elif isinstance(command, CopyPages | MaskPage | EmbedText):
            self._change(command)
        elif isinstance(command, ForkPages | ExportPages | ImportPages):
            self._share(command)
        else:
            self._name(command)
        return None

    def _name(self, command: Command) -> None:
        match command:
            case AllocPages(pages):
                self.pages.update((page, NaivePage.empty(self.page_size)) for page in pages)
            case AllocEmbs(names):
                self.embs.update(dict.fromkeys(names))
            case AllocSlots(names):
                self.slots.update(dict.fromkeys(names))
            case FreePages(names):
                forget(self.pages, names)
            case FreeEmbs(names):
                forget(self.embs, names)
            case FreeSlots(names):
                forget(self.slots, names)

    def _use_slots(self, command: Sample | EmbedSlots | ReadSlots | DecodeAhead | Score) -> Any:
        match command:
            case Sample(emb, spec, slot):
                self.slots[slot] = self._sampler.draw(self._emb(emb)[0], spec)
            case EmbedSlots(slots, positions, embs):
                for slot, position, emb in zip(slots, positions, embs, strict=True):
                    self.embs[emb] = embed(self._sampler.read(slot)), position
            case ReadSlots(slots):
                return [self._sampler.read(slot) for slot in slots]
            case DecodeAhead():
                return self._decode(command)
            case Score(embs, targets):
                pairs = zip(embs, targets, strict=True)
                return [self.scores.logprob(self._emb(emb)[0], target) for emb, target in pairs]
        return None

    def _decode(self, run: DecodeAhead) -> list[int]:
        tokens: list[int] = []
        for i in range(run.steps):
            position = run.position + i
            if i:
                self.embs[run.emb] = embed(tokens[-1]), position - 1
                page, offset = divmod(run.offset + i - 1, self.page_size)
                self._forward(
                    Forward(run.pages[: page + 1], [run.emb], [run.pages[page]], offset, [run.oemb], (), None)
                )
            state = self._emb(run.oemb)[0]
            tokens.append(self._sampler.draw_step(state, run.spec, position, tokens))
        return tokens

    def _share(self, command: Command) -> None:
        match command:
            case ForkPages(src, dst):
                for one, other in zip(src, dst, strict=True):
                    self.pages[other] = deepcopy(self.pages[one])
            case ExportPages(pages, name):
                self.exports[name] = [deepcopy(self.pages[page]) for page in pages]
            case ImportPages(name, pages):
                self.pages.update(zip(pages, deepcopy(self.exports[name]), strict=True))

    def _change(self, command: CopyPages | MaskPage | EmbedText) -> None:
        match command:
            case CopyPages(src, dst, spans):
                for one, other, span in zip(src, dst, spans, strict=True):
                    self._copy(self.pages[one], self.pages[other], *span)
            case MaskPage(page, visible):
                self.pages[page].visible = [bool(visible >> i & 1) for i in range(self.page_size)]
            case EmbedText(tokens, positions, embs):
                for token, position, emb in zip(tokens, positions, embs, strict=True):
                    self.embs[emb] = embed(token), position

    def _copy(self, src: NaivePage, dst: NaivePage, src_offset: int, dst_offset: int, length: int) -> None:
        tokens = src.tokens[src_offset : src_offset + length]
        visible = src.visible[src_offset : src_offset + length]
        dst.tokens[dst_offset : dst_offset + length] = tokens
        dst.visible[dst_offset : dst_offset + length] = visible

    def _forward(self, command: Forward) -> None:
        inputs = [self._emb(emb) for emb in command.iemb]
        targets = self._targets(command) if command.okv else []
        cached = self._cached(command.ikv, targets)
        sight = [self._sees(i, command.mask, cached, inputs) for i in range(len(inputs))]
        old0, old1 = [t.key0 if t else 0 for t in cached], [t.key1 if t else 0 for t in cached]
        keys0 = [first_key(value, position) for value, position in inputs]
        keys1 = [second_key(key, total(sight[i], old0 + keys0)) for i, key in enumerate(keys0)]
        states = [hidden(key, total(sight[i], old1 + keys1)) for i, key in enumerate(keys1)]
        for i, (page, offset) in enumerate(targets):
            self.pages[page].tokens[offset] = FakeToken(inputs[i][1], keys0[i], keys1[i])
        rows = command.outputs or range(len(inputs) - len(command.oemb), len(inputs))
        for row, emb in zip(rows, command.oemb, strict=True):
            self.embs[emb] = states[row], inputs[row][1]

    def _targets(self, command: Forward) -> list[tuple[int, int]]:
        """Page and offset for each input."""
        slots = [(int(page), offset) for page in command.okv for offset in range(self.page_size)]
        return slots[command.okv_offset :][: len(command.iemb)]

    def _cached(self, ikv: Sequence[int], targets: list[tuple[int, int]]) -> list[FakeToken | None]:
        """Each token slot of the pages, None where nothing can be seen."""
        found: list[FakeToken | None] = []
        for page in ikv:
            for offset in range(self.page_size):
                seen = self.pages[page].visible[offset] and (page, offset) not in targets
                found.append(self.pages[page].tokens[offset] if seen else None)
        return found

    def _sees(
        self,
        i: int,
        mask: Sequence[Sequence[int]] | None,
        cached: list[FakeToken | None],
        inputs: list[tuple[int, int]],
    ) -> list[bool]:
        """For each cached slot, then for each input."""
        if mask is not None:
            flags = [bool(j % 2) for j, run in enumerate(mask[i]) for _ in range(run)]
            return flags + [False] * (len(cached) + len(inputs) - len(flags))
        positions = [token.position if token else 0 for token in cached] + [
            position for _, position in inputs
        ]
        return [position <= inputs[i][1] for position in positions]

    def _dist(self, command: NextDist) -> Dist:
        state, _ = self._emb(command.emb)
        tokens, probs = self.scores.top(state, command.top_k)
        chosen = {int(token): self.scores.logprob(state, token) for token in command.tokens}
        return Dist(tokens, probs, chosen, self.scores.entropy(state), BEST_LOGIT)

    def _emb(self, emb: int) -> tuple[int, int]:
        content = self.embs[emb]
        if content is None:
            raise ValueError(f"the test reads emb {emb} before it is written")
        return content


def total(seen: list[bool], keys: list[int]) -> int:
    return sum(key for flag, key in zip(seen, keys, strict=True) if flag)


def forget(contents: dict[int, Any], names: Sequence[int]) -> None:
    for name in names:
        del contents[name]
