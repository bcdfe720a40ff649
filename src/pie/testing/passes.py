"""Passes written by hand, and their answers in a readable form. For tests of executors and drivers."""

from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pie.core.commands import SamplingSpec
from pie.core.grammar import GRAMMAR_KINDS, GrammarKind, MatcherOp, MatcherQuestion
from pie.core.passes import Pass, PassResult, column_types

COLUMNS = column_types(Pass)


@dataclass(frozen=True, slots=True)
class Answer:
    """One distribution: best tokens and their probabilities, descending; `chosen`: log-probabilities."""

    tokens: list[int]
    probs: list[float]
    chosen: list[float]
    entropy: float


class PassBuilder:
    """Adds one thing at a time; `build` gives the pass. Methods return the builder."""

    def __init__(self, number: int = 0) -> None:
        self._number = number
        self._columns: dict[str, list[Any]] = {
            name: [0] if name.endswith("starts") else [] for name in COLUMNS
        }

    def swap_out(self, page: int, place: int) -> "PassBuilder":
        return self._extend("swap_outs", (page, place))

    def swap_in(self, place: int, page: int) -> "PassBuilder":
        return self._extend("swap_ins", (place, page))

    def fresh(self, *pages: int) -> "PassBuilder":
        return self._extend("fresh_pages", pages)

    def copy(
        self, source: int, source_offset: int, target: int, target_offset: int, length: int
    ) -> "PassBuilder":
        return self._extend("copies", (source, source_offset, target, target_offset, length))

    def show(self, page: int, visible: int) -> "PassBuilder":
        """Bit i of `visible` shows token i of the page."""
        return self._extend("page_masks", (page, visible - (1 << 32) if visible >> 31 else visible))

    def embed(self, tokens: Sequence[int], positions: Sequence[int], slots: Sequence[int]) -> "PassBuilder":
        self._extend("embed_tokens", tokens)
        self._extend("embed_positions", positions)
        return self._extend("embed_slots", slots)

    def forward(
        self,
        inputs: Sequence[int],
        read: Sequence[int] = (),
        targets: Sequence[int] = (),
        outputs: Mapping[int, int] | None = None,
        mask: Sequence[Sequence[int]] | None = None,
    ) -> "PassBuilder":
        """One segment. `targets`: page * page_size + offset each, none: not stored. `outputs`: index in this
        segment's `inputs` to the slot of its hidden state. `mask`: one row of runs an input."""
        first = len(self._columns["inputs"])
        if mask is not None:
            self._columns["masked"].append(len(self._columns["input_starts"]) - 1)
            for row in mask:
                self._row("mask_runs", "mask_starts", row)
        self._row("inputs", "input_starts", inputs)
        self._row("read_pages", "read_starts", read)
        self._extend("targets", targets or [-1] * len(inputs))
        for index, slot in (outputs or {}).items():
            self._extend("outputs", (first + index, slot))
        return self

    def adapt(self, adapter: int) -> "PassBuilder":
        """The next segment goes through this adapter."""
        return self._extend("adapted", (len(self._columns["input_starts"]) - 1, adapter))

    def watch(self) -> "PassBuilder":
        """The attention of the next segment is measured."""
        return self._extend("watched", (len(self._columns["input_starts"]) - 1,))

    def grammar(self, place: int, kind: GrammarKind, text: str, *matchers: int) -> "PassBuilder":
        """Loads a grammar, and puts matchers at its beginning."""
        self._extend("grammar_texts", (text,))
        self._extend("matcher_ops", (MatcherOp.LOAD, place, GRAMMAR_KINDS.index(kind), 0))
        for matcher in matchers:
            self._extend("matcher_ops", (MatcherOp.NEW, matcher, place, 0))
        return self

    def fork_matcher(self, source: int, target: int) -> "PassBuilder":
        return self._extend("matcher_ops", (MatcherOp.FORK, target, source, 0))

    def advance(self, matcher: int, *tokens: int) -> "PassBuilder":
        self._extend("matcher_ops", (MatcherOp.ADVANCE, matcher, 0, len(tokens)))
        return self._extend("matcher_data", tokens)

    def rollback(self, matcher: int, count: int) -> "PassBuilder":
        return self._extend("matcher_ops", (MatcherOp.ROLLBACK, matcher, count, 0))

    def ask(self, matcher: int, question: MatcherQuestion) -> "PassBuilder":
        return self._extend("matcher_reads", (matcher, question))

    def dist(self, slot: int, top_k: int = 8, tokens: Sequence[int] = (), matcher: int = -1) -> "PassBuilder":
        self._extend("dist_matchers", (matcher,))
        self._extend("dist_slots", (slot,))
        self._extend("dist_top_k", (top_k,))
        return self._row("dist_tokens", "dist_token_starts", tokens)

    def embed_slot(
        self, sources: Sequence[int], positions: Sequence[int], slots: Sequence[int]
    ) -> "PassBuilder":
        """What token slots `sources` hold, into embedding slots."""
        self._extend("slot_sources", sources)
        self._extend("slot_positions", positions)
        return self._extend("slot_embs", slots)

    def sample(self, emb: int, slot: int, how: SamplingSpec, matcher: int = -1) -> "PassBuilder":
        """`how.seen_slots` are physical token slots here."""
        self._extend("sample_embs", (emb,))
        self._extend("sample_slots", (slot,))
        self._extend("sample_matchers", (matcher,))
        self._extend("sample_top_k", (how.top_k,))
        self._extend("sample_seeds", (how.seed,))
        self._extend(
            "sample_numbers",
            (how.temperature, how.top_p, how.min_p, how.repetition_penalty, how.presence_penalty,
             how.frequency_penalty),
        )  # fmt: skip
        self._row("seen_tokens", "seen_token_starts", how.seen)
        return self._row("seen_slots", "seen_slot_starts", how.seen_slots)

    def score(self, emb: int, target: int) -> "PassBuilder":
        self._extend("score_slots", (emb,))
        return self._extend("score_targets", (target,))

    def build(self) -> Pass:
        columns: dict[str, Any] = {
            name: array(code, self._columns[name]) if code else self._columns[name]
            for name, code in COLUMNS.items()
        }
        return Pass(self._number, **columns)

    def _extend(self, column: str, values: Sequence[Any]) -> "PassBuilder":
        self._columns[column].extend(values)
        return self

    def _row(self, column: str, starts: str, values: Sequence[int]) -> "PassBuilder":
        self._extend(column, values)
        return self._extend(starts, (len(self._columns[column]),))


def answers(work: Pass, result: PassResult) -> list[Answer]:
    """The distributions of a pass that succeeded."""
    tops, chosen = result.top_starts, work.dist_token_starts
    return [
        Answer(
            list(result.top_tokens[tops[i] : tops[i + 1]]),
            list(result.top_probs[tops[i] : tops[i + 1]]),
            list(result.chosen_logprobs[chosen[i] : chosen[i + 1]]),
            result.entropies[i],
        )
        for i in range(len(work.dist_slots))
    ]
