"""What a replayed control layer has around it: time, a driver, programs that hear nothing."""

from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from pie.control.shapes import watched_pages
from pie.core.driver import DriverSpec
from pie.core.errors import PieError
from pie.core.passes import Pass, PassResult


class ReplayClock:
    """A `core.clock.Clock` whose time is set, and whose timers ring when the record says so."""

    def __init__(self) -> None:
        self._now = 0.0
        self._timers: dict[int, Callable[[], None]] = {}
        self._made = 0

    def now(self) -> float:
        return self._now

    def set(self, now: float) -> None:
        self._now = now

    def call_at(self, when: float, callback: Callable[[], None]) -> "ReplayTimer":
        del when
        self._timers[self._made] = callback
        self._made += 1
        return ReplayTimer(self._timers, self._made - 1)

    def ring(self, number: int) -> bool:
        """False where there is no such timer."""
        callback = self._timers.pop(number, None)
        if callback is not None:
            callback()
        return callback is not None


@dataclass(frozen=True, slots=True)
class ReplayTimer:
    timers: dict[int, Callable[[], None]]
    number: int

    def cancel(self) -> None:
        self.timers.pop(self.number, None)


class ReplayDriver:
    """A `core.driver.Driver` that answers from the record."""

    def __init__(self, sent: Callable[[int, Pass], None], number: int, spec: DriverSpec) -> None:
        self.spec = spec
        self._tell = sent
        self._number = number
        self._sent: dict[int, Pass] = {}

    def attach(
        self,
        done: Callable[[PassResult], None],
        lost: Callable[[str], None],
        restored: Callable[[], None],
    ) -> None:
        self._done, self._lost, self.restored = done, lost, restored

    def submit(self, work: Pass) -> None:
        self._sent[work.number] = work
        self._tell(self._number, work)

    def lose(self) -> None:
        self._sent.clear()
        self._lost("as recorded")

    def answer(
        self,
        number: int,
        seconds: float,
        error: str,
        whole: bool,
        sampled: list[int],
        rows: list[int],
        texts: list[str],
    ) -> None:
        work = self._sent.pop(number, None)
        if error or not whole or work is None:
            self._done(PassResult(number, seconds, error=error, entropies=array("f", (0.0,) * 4096)))
            return
        result = PassResult(
            number, seconds, sampled=array("i", sampled), fault_rows=array("i", rows), fault_texts=texts,
            **empty_answers(work),
        )  # fmt: skip
        self._done(result)


def empty_answers(work: Pass) -> dict[str, Any]:
    """Something of the right shape for each question: decisions do not depend on it."""
    count, reads = len(work.dist_slots), len(work.matcher_reads) // 2
    return {
        "top_starts": array("i", (0,) * (count + 1)),
        "entropies": array("f", (0.0,) * count),
        "best_logits": array("f", (0.0,) * count),
        "chosen_logprobs": array("f", (0.0,) * len(work.dist_tokens)),
        "score_logprobs": array("f", (0.0,) * len(work.score_slots)),
        "attention": array("f", (0.0,) * sum(pages + 1 for pages in watched_pages(work))),
        "matcher_answers": array("i", (0, 0) * reads),
        "matcher_answer_starts": array("i", range(0, 2 * reads + 1, 2)),
    }


class Silence:
    """A `core.commands.Listener` of nobody."""

    def __init__(self) -> None:
        self.forget: Callable[[], object] = str

    def add(self, token: int) -> None:
        """Nobody listens."""

    def resolve(self, value: object) -> None:
        del value
        self.forget()

    def fail(self, error: PieError) -> None:
        del error
        self.forget()


class NoWords:
    """A tokenizer, which decisions need not."""

    def encode(self, text: str) -> list[int]:
        return list(text.encode())

    def decode(self, tokens: Sequence[int]) -> str:
        return str(tokens)

    def token_bytes(self, tokens: Sequence[int]) -> bytes:
        return str(tokens).encode()

    def vocabulary(self) -> list[bytes]:
        return []

    def special_tokens(self) -> dict[int, str]:
        return {}

    def render_chat(self, messages: str, add_generation_prompt: bool) -> str:
        return messages + str(add_generation_prompt)
