"""A driver's heart without a model: follows `core/passes.py` to the letter, on hashes instead of tensors."""

from array import array
from collections.abc import Callable, Container, Sequence
from typing import Any

import numpy as np

from pie.core.driver import DriverSpec
from pie.core.passes import FaultKind, Pass, PassResult, RowFault, fault_columns
from pie.inference.checks import Contents, find_fault
from pie.inference.checks_matchers import matcher_faults
from pie.inference.columns import Bools, Ints, columns_of
from pie.inference.matchers import MatcherTable
from pie.testing.attention import Attention, ByMask, ByPosition, even_shares
from pie.testing.draws import Draws
from pie.testing.grammar import fake_vocabulary
from pie.testing.masked import MaskedScores
from pie.testing.page import FakePage
from pie.testing.scores import BEST_LOGIT, HashedScores, Scores
from pie.testing.tokens import FakeToken, embed, first_key, hidden, second_key, through


class FakeExecutor:
    """Deterministic and page-faithful: any page, offset, position or mask in the wrong place changes answers.

    The answer to a context is the same in any batch and on any machine with 64-bit hashes. Reading an
    embedding slot that was never written is an error, never a guess.
    """

    def __init__(self, spec: DriverSpec, scores: Scores | None = None) -> None:
        self._spec = spec
        self._scores = scores or HashedScores(spec.vocabulary_size)
        size = spec.vocabulary_size
        self._matchers = MatcherTable(lambda: fake_vocabulary(size), size)
        self._draws = Draws(self._scores, size, self._matchers)
        self.clear()

    @property
    def spec(self) -> DriverSpec:
        return self._spec

    def clear(self) -> None:
        """As after a restart."""
        self.damaged: dict[int, str] = {}
        """Places on disk that cannot be brought back, and why."""
        self.disk_is_full = False
        """Nothing more can be written there."""
        self.pages = [FakePage(self._spec.page_size) for _ in range(self._spec.pages)]
        self.host: dict[int, FakePage] = {}
        """What is kept at places in host memory and on disk."""
        self.slots: dict[int, tuple[int, int]] = {}
        """Value and position of each written embedding slot."""
        self.tokens: dict[int, int] = {}
        """What was sampled into token slots."""
        self._matchers.clear()

    def execute(self, work: Pass) -> PassResult:
        try:
            contents = Contents(written_in(self.slots), written_in(self.tokens))
            fault = find_fault(columns_of(work), self._spec, contents)
            fault = fault or next(matcher_faults(work, self._spec), "")
            if fault:
                raise ValueError(fault)
            faults = self._matchers.run(work)
            self._swap(work, faults)
            self._prepare(work)
            attention = self._forward(work)
            found = self._answer(work, faults) | self._matchers.answer(work, faults)
            return PassResult(work.number, 0.0, attention=attention, **found, **fault_columns(faults))
        except (LookupError, ValueError) as error:
            return PassResult(work.number, 0.0, error=f"{type(error).__name__}: {error}")

    def _swap(self, work: Pass, faults: list[RowFault]) -> None:
        for page, place in _rows(work.swap_outs, 2):
            self.host[place] = self.pages[page].duplicate()
            if self.disk_is_full and place >= self._spec.host_pages:
                self.damaged[place] = "the disk is full"
        for row, (place, page) in enumerate(_rows(work.swap_ins, 2)):
            self.pages[page] = self.host.pop(place)
            if place in self.damaged:
                self.pages[page].clear()
                faults.append(RowFault(FaultKind.SWAP_IN, row, self.damaged.pop(place)))

    def _prepare(self, work: Pass) -> None:
        for page in work.fresh_pages:
            self.pages[page].clear()
        for source, src_offset, target, dst_offset, length in _rows(work.copies, 5):
            self.pages[target].copy_from(self.pages[source], src_offset, dst_offset, length)
        for page, visible in _rows(work.page_masks, 2):
            self.pages[page].show(visible & 0xFFFFFFFF)
        embeds = zip(work.embed_slots, work.embed_tokens, work.embed_positions, strict=True)
        for slot, token, position in embeds:
            self.slots[slot] = embed(token), position
        relayed = zip(work.slot_embs, work.slot_sources, work.slot_positions, strict=True)
        for slot, source, position in relayed:
            self.slots[slot] = embed(self.tokens[source]), position

    def _forward(self, work: Pass) -> "array[float]":
        """All segments see the pages as they were; what they write appears afterwards. Where the attention of
        watched segments went."""
        writes: list[tuple[int, FakeToken]] = []
        states: list[tuple[int, int]] = []
        rows = _mask_rows(work)
        adapters = dict(zip(work.adapted[::2], work.adapted[1::2], strict=True))
        attention = array("f")
        for segment in range(len(work.input_starts) - 1):
            tokens, values = self._run_segment(work, segment, rows.get(segment), adapters.get(segment))
            start = work.input_starts[segment]
            if segment in work.watched:
                attention.extend(even_shares(self._cached(work, segment, ()), [t.position for t in tokens]))
            writes += (
                (target, token)
                for target, token in zip(work.targets[start : start + len(tokens)], tokens, strict=True)
                if target >= 0
            )
            states += zip(values, (token.position for token in tokens), strict=True)
        for target, token in writes:
            page, offset = divmod(target, self._spec.page_size)
            self.pages[page].write(offset, token)
        for row, slot in _rows(work.outputs, 2):
            self.slots[slot] = states[row]
        return attention

    def _run_segment(
        self, work: Pass, segment: int, mask: Sequence[Sequence[int]] | None, adapter: int | None
    ) -> tuple[list[FakeToken], list[int]]:
        """What the inputs would leave in pages, and their hidden states."""
        start, end = work.input_starts[segment], work.input_starts[segment + 1]
        inputs = [self.slots[slot] for slot in work.inputs[start:end]]
        positions = [position for _, position in inputs]
        pages = self._cached(work, segment, work.targets[start:end])
        attention: Attention = ByPosition(pages, positions) if mask is None else ByMask(pages, mask)
        keys0 = [first_key(through(value, adapter), position) for value, position in inputs]
        keys1 = list(map(second_key, keys0, attention.seen(0, keys0)))
        values = list(map(hidden, keys1, attention.seen(1, keys1)))
        return list(map(FakeToken, positions, keys0, keys1)), values

    def _cached(self, work: Pass, segment: int, targets: Sequence[int]) -> list[tuple[FakePage, set[int]]]:
        written: dict[int, set[int]] = {}
        for target in targets:
            if target >= 0:
                page, offset = divmod(target, self._spec.page_size)
                written.setdefault(page, set()).add(offset)
        start, end = work.read_starts[segment], work.read_starts[segment + 1]
        return [(self.pages[page], written.get(page, set())) for page in work.read_pages[start:end]]

    def _answer(self, work: Pass, faults: list[RowFault]) -> dict[str, Any]:
        """Columns of the result; `faults` gets those that failed alone."""
        distributions = self._distributions(work, faults)
        sampled, failed = self._draws.draw(work, self.slots, self.tokens)
        self.tokens.update(zip(work.sample_slots, sampled, strict=True))
        faults += failed
        return {
            **distributions,
            "score_logprobs": array("f", self._logprobs(work)),
            "sampled": array("i", sampled),
        }

    def _logprobs(self, work: Pass) -> list[float]:
        rows = zip(work.score_slots, work.score_targets, strict=True)
        return [self._scores.logprob(self.slots[slot][0], target) for slot, target in rows]

    def _scores_of(self, work: Pass, row: int, faults: list[RowFault]) -> Scores:
        """What a distribution of the pass is read from."""
        matcher = work.dist_matchers[row] if work.dist_matchers else -1
        if matcher < 0:
            return self._scores
        bits, failed = self._matchers.masks([matcher])
        faults += [RowFault(FaultKind.DIST, row, why) for why in failed.values()]
        size = self._spec.vocabulary_size
        allowed = np.unpackbits(bits[0], count=size, bitorder="little").view(np.bool_)
        return MaskedScores(self._scores, allowed)

    def _distributions(self, work: Pass, faults: list[RowFault]) -> dict[str, Any]:
        top_tokens, top_probs = array("i"), array("f")
        starts, chosen, entropies = array("i", (0,)), array("f"), array("f")
        for i, (slot, top_k) in enumerate(zip(work.dist_slots, work.dist_top_k, strict=True)):
            state, scores = self.slots[slot][0], self._scores_of(work, i, faults)
            tokens, probs = scores.top(state, top_k)
            top_tokens += tokens
            top_probs += probs
            starts.append(len(top_tokens))
            entropies.append(scores.entropy(state))
            wanted = work.dist_tokens[work.dist_token_starts[i] : work.dist_token_starts[i + 1]]
            chosen.extend(scores.logprob(state, token) for token in wanted)
        return {
            "top_tokens": top_tokens,
            "top_probs": top_probs,
            "top_starts": starts,
            "chosen_logprobs": chosen,
            "entropies": entropies,
            "best_logits": array("f", (BEST_LOGIT,)) * len(entropies),
        }


def written_in(slots: Container[int]) -> Callable[[Ints], Bools]:
    return lambda asked: np.array([slot in slots for slot in asked.tolist()], np.bool_)


def _rows(column: Sequence[int], width: int) -> "zip[tuple[int, ...]]":
    return zip(*(column[i::width] for i in range(width)), strict=True)


def _mask_rows(work: Pass) -> dict[int, list[Sequence[int]]]:
    """The mask rows of each masked segment."""
    rows = 0
    masks: dict[int, list[Sequence[int]]] = {}
    for segment in work.masked:
        count = work.input_starts[segment + 1] - work.input_starts[segment]
        starts = work.mask_starts[rows : rows + count + 1]
        masks[segment] = [work.mask_runs[starts[i] : starts[i + 1]] for i in range(count)]
        rows += count
    return masks
