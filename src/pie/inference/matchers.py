"""All matchers of a driver, and the grammars they come from. No torch: the fake driver has the same ones."""

from array import array
from collections.abc import Callable, Sequence
from typing import Any

import llguidance
import numpy as np
from numpy.typing import NDArray

from pie.core.errors import PieError
from pie.core.grammar import GRAMMAR_KINDS, GrammarKind, MatcherOp, MatcherQuestion
from pie.core.passes import FaultKind, Pass, RowFault
from pie.inference.matcher import Matcher, MatcherFault
from pie.models.grammar import GrammarVocabulary

Bits = NDArray[np.uint8]
NOT_THERE = "the matcher could not be made"
Place = llguidance.LLMatcher | str
"""A grammar that is compiled, or why it is not."""


class MatcherTable:
    """vocabulary: called once, when the first grammar comes. size: tokens in it."""

    def __init__(self, vocabulary: Callable[[], GrammarVocabulary], size: int) -> None:
        self._make_vocabulary = vocabulary
        self._vocabulary: GrammarVocabulary | None = None
        self._words = -(-size // 32)
        self._bytes = -(-size // 8)
        self._grammars: dict[int, Place] = {}
        self._matchers: dict[int, Matcher] = {}

    def __len__(self) -> int:
        return len(self._matchers)

    def clear(self) -> None:
        """As after a restart."""
        self._grammars.clear()
        self._matchers.clear()

    def run(self, work: Pass) -> list[RowFault]:
        """The operations of a pass, one after the other; one that fails stops nobody else."""
        for matcher in work.matcher_drops:
            self._matchers.pop(matcher, None)
        faults: list[RowFault] = []
        texts, start = iter(work.grammar_texts), 0
        for row in range(len(work.matcher_ops) // 4):
            what, target, other, length = work.matcher_ops[4 * row : 4 * row + 4]
            tokens = work.matcher_data[start : start + length]
            start += length
            try:
                if what == MatcherOp.LOAD:
                    self._grammars[target] = self._compile(GRAMMAR_KINDS[other], next(texts))
                else:
                    self._run(MatcherOp(what), target, other, tokens)
            except MatcherFault as fault:
                faults.append(RowFault(FaultKind.MATCHER_OP, row, str(fault)))
        return faults

    def masks(self, matchers: Sequence[int]) -> tuple[Bits, dict[int, str]]:
        """Allowed tokens, a row for each of `matchers` (token t: bit t % 8 of byte t // 8), and the errors of
        those rows that have none; in these everything is allowed, so that they can be computed with."""
        distinct = list(dict.fromkeys(matchers))
        bits, failed = self._distinct_masks(distinct)
        if len(distinct) == len(matchers):
            return bits, failed
        rows = [distinct.index(name) for name in matchers]
        return bits[rows], {row: failed[source] for row, source in enumerate(rows) if source in failed}

    def take(self, matcher: int, token: int) -> str:
        """Moves a matcher on by a token of its mask; why that failed, or nothing."""
        try:
            self._find(matcher).take(token)
        except MatcherFault as fault:
            return str(fault)
        return ""

    def answer(self, work: Pass, faults: list[RowFault]) -> dict[str, Any]:
        """The columns of `PassResult` that answer `matcher_reads`; `faults` gets those that failed alone."""
        answers, starts = array("i"), array("i", (0,))
        for row in range(len(work.matcher_reads) // 2):
            matcher, question = work.matcher_reads[2 * row : 2 * row + 2]
            try:
                answers.extend(self._answer(matcher, MatcherQuestion(question)))
            except MatcherFault as fault:
                faults.append(RowFault(FaultKind.MATCHER_READ, row, str(fault)))
            starts.append(len(answers))
        return {"matcher_answers": answers, "matcher_answer_starts": starts}

    def _run(self, what: MatcherOp, target: int, other: int, tokens: Sequence[int]) -> None:
        match what:
            case MatcherOp.NEW:
                self._matchers.pop(target, None)
                self._matchers[target] = self._new(other)
            case MatcherOp.FORK:
                self._matchers.pop(target, None)
                self._matchers[target] = self._find(other).fork()
            case MatcherOp.ADVANCE:
                self._find(target).advance(tokens)
            case MatcherOp.ROLLBACK:
                self._find(target).rollback(other)

    def _compile(self, kind: GrammarKind, text: str) -> Place:
        try:
            return self._known_vocabulary().compile(kind, text)
        except PieError as error:
            return str(error)

    def _known_vocabulary(self) -> GrammarVocabulary:
        if self._vocabulary is None:
            self._vocabulary = self._make_vocabulary()
        return self._vocabulary

    def _new(self, grammar: int) -> Matcher:
        compiled = self._grammars.get(grammar, "its grammar is not there")
        if isinstance(compiled, str):
            raise MatcherFault(compiled)
        return Matcher(compiled.deep_copy(), self._known_vocabulary().stop_tokens)

    def _find(self, matcher: int) -> Matcher:
        found = self._matchers.get(matcher)
        if found is None:
            raise MatcherFault(NOT_THERE)
        return found

    def _distinct_masks(self, names: Sequence[int]) -> tuple[Bits, dict[int, str]]:
        """One after the other: some 40 µs each, which is less than waking threads costs."""
        rows = np.zeros((len(names), self._words), np.int32)
        bits = rows.view(np.uint8)
        failed: dict[int, str] = {}
        for row, name in enumerate(names):
            matcher = self._matchers.get(name)
            if matcher is None:
                failed[row] = NOT_THERE
            elif matcher.ended:
                bits[row] = self._only_stop_tokens()
            else:
                matcher.fill(rows[row])
                if matcher.error or not rows[row].any():
                    failed[row] = matcher.error or "the grammar has come to a dead end: no token can follow"
        bits[list(failed)] = 0xFF
        return bits, failed

    def _only_stop_tokens(self) -> Bits:
        row = np.zeros(4 * self._words, np.uint8)
        for token in self._known_vocabulary().stop_tokens:
            row[token >> 3] |= 1 << (token & 7)
        return row

    def _answer(self, name: int, question: MatcherQuestion) -> Sequence[int]:
        matcher = self._find(name)
        if question is MatcherQuestion.STATE:
            state = matcher.state()
            return [state.accepting, state.stopped, *state.forced]
        bits, faults = self.masks([name])
        if faults:
            raise MatcherFault(faults[0])
        return bits[0, : self._bytes].tobytes()
