"""One program of a simulation, and the answers that it waits for."""

from collections.abc import Callable, Sequence
from random import Random
from typing import TYPE_CHECKING, Any

from naive import NaiveProgram
from scripts import FIRST, SCRIPTS, VOCABULARY, Script, Sleep, Text
from world import PAGE_SIZE, emb_names, page_names

from pie.control.leases import WITH_A_PASS
from pie.core.commands import (
    AllocEmbs,
    AllocPages,
    Command,
    FreeEmbs,
    FreeMatchers,
    FreePages,
    SamplingSpec,
)
from pie.core.errors import PieError, QueueFailed, Unavailable
from pie.core.ids import InstanceId, QueueId, Token
from pie.core.programs import Limits
from pie.testing import HashedScores

if TYPE_CHECKING:
    from simulation import Simulation

SCORES = HashedScores(VOCABULARY)
ATTEMPTS = 4
"""After a fault of the driver a program begins anew, so often in all."""


class Answer:
    """A completion. What must come is known when it is asked for."""

    def __init__(self, program: "Simulated", expected: Any) -> None:
        self.program = program
        self.expected = expected
        self.tokens: list[int] = []
        self.value: Any = None
        self.done = False
        self.error: PieError | None = None

    def add(self, token: int) -> None:
        if self.done:
            self.program.simulation.problems.append(f"{self.program.name}: a token after the end")
        self.tokens.append(token)
        self.program.simulation.note_progress()

    def resolve(self, value: Any) -> None:
        self.value = self.tokens or value
        self._finish()

    def fail(self, error: PieError) -> None:
        self.error = error
        self._finish()

    def _finish(self) -> None:
        if self.done:
            self.program.simulation.problems.append(f"{self.program.name}: a completion was called twice")
        self.done = True
        self.program.simulation.answered(self)


class Notice:
    """A completion that is told how many pages are missing."""

    def __init__(self, give_back: Callable[[], None]) -> None:
        self.give_back = give_back
        self.missing: Any = None

    def resolve(self, value: Any) -> None:
        self.missing = value

    def fail(self, error: PieError) -> None:
        self.missing = error


class Simulated:
    """Runs its script; begins it anew when the driver has died or failed, or pages have run out."""

    def __init__(self, simulation: "Simulation", number: int, tenant: str) -> None:
        self.simulation = simulation
        self.dice = Random(simulation.dice.random())
        self.name = f"program {number}"
        self.tenant = tenant
        self.limits = self._some_limits()
        self.session = simulation.world.control.open(InstanceId(self.name), self.limits, tenant)
        self.session.create_queue("fake")
        self.queues = [FIRST]
        self.session.set_priority(FIRST, self.dice.choice([0, 0, 0, 1, -1]))
        self.waits: list[Answer] = []
        self.too_much = False
        self.over = False
        self._make = self.dice.choices(list(SCRIPTS), list(SCRIPTS.values()))[0]
        self._attempts = 0
        self._notice: Notice | None = None
        self._begin()

    def _some_limits(self) -> Limits:
        if self.dice.random() < 0.1:
            return Limits(tokens=self.dice.randint(1, 30))
        return Limits(pages=self.dice.randint(2, 8)) if self.dice.random() < 0.1 else Limits()

    def _begin(self) -> None:
        self.naive = NaiveProgram(PAGE_SIZE, SCORES, self.simulation.exports_of(self.tenant))
        self._embs = 0
        self.script: Script = self._make(self)

    # --- going on -----------------------------------------------------------------------------------------

    def resume(self) -> None:
        """Until it waits for something, or has ended."""
        if self.over:
            return
        try:
            if self._notice is not None and self._notice.missing is not None:
                notice, self._notice = self._notice, None
                assert notice.missing > 0, "told that no page is missing"
                notice.give_back()
            waits = next(self.script)
        except StopIteration:
            assert all(answer.done for answer in self.waits), f"{self.name} heard nothing"
            self.close()
        except PieError as error:
            self._failed(error)
        else:
            if isinstance(waits, Sleep):
                self.simulation.call_in(waits.seconds, self.resume)
            elif waits.done:
                self.simulation.ready(self)

    def wake(self, answer: Answer) -> None:
        """Its answer is there."""
        if self.over:
            return
        if answer.error is None:
            self.compare(answer)
            self.resume()
        else:
            self._failed(answer.error)

    def _failed(self, error: PieError) -> None:
        if isinstance(error, QueueFailed):  # it says what came before
            error = next(queue.error for queue, _ in self.session._queues.values() if queue.error)
        self.simulation.judge(self, error)
        self.script.close()
        self._attempts += 1
        if self._attempts == ATTEMPTS or isinstance(error, self.simulation.final):
            self.close()
        else:
            self._clean_up()
            self.simulation.call_in(0.5 if isinstance(error, Unavailable) else 0.01, self._again)

    def has_lost_page(self) -> bool:
        """One of its own, on disk."""
        (space,) = self.session._spaces.values()
        return any(lease.loss != WITH_A_PASS for lease in space.pages.living())

    def _again(self) -> None:
        if not self.over:
            self._begin()
            self.resume()

    def _clean_up(self) -> None:
        """All names go, also while there is no driver."""
        self.ignore()
        for queue in self.queues:
            self.session.reset(queue)
        naive = self.naive
        self.session.submit(FIRST, FreePages(page_names(list(naive.pages))))
        self.session.submit(FIRST, FreeEmbs(emb_names(list(naive.embs))))
        (space,) = self.session._spaces.values()
        self.session.submit(FIRST, FreeMatchers(list(space.matchers.leases)))
        assert not (space.pages.leases or space.embs.leases or space.matchers.leases)

    def close(self) -> None:
        """The program has ended, or was cancelled."""
        if not self.over:
            self.over = True
            self.script.close()
            self.session.close()
            self.simulation.note_progress()

    # --- what scripts call --------------------------------------------------------------------------------

    def submit(self, command: Command, queue: QueueId = FIRST) -> None:
        self.session.submit(queue, command)
        self.naive.execute(command)

    def ask(self, command: Command, queue: QueueId = FIRST) -> Answer:
        answer = Answer(self, None)
        self.session.submit(queue, command, answer)
        answer.expected = self.naive.execute(command)
        self.waits = [one for one in self.waits if not one.done] + [answer]
        return answer

    def compare(self, answer: Answer) -> None:
        """What was said must be what it would have heard alone."""
        expected, value = answer.expected, answer.value
        if hasattr(expected, "tokens"):
            assert (value.tokens, value.probs) == (expected.tokens, expected.probs), f"{self.name}: {value}"
        elif expected is not None:
            assert value == expected, f"{self.name} heard {value} instead of {expected}"

    def hint(self, pages: Sequence[int]) -> None:
        hint = self.dice.choice([None, None, "retain", "demote", "prefetch"])
        if hint is not None:
            self.session.hint(FIRST, hint, page_names(pages), 500)

    def listen(self, give_back: Callable[[], None]) -> None:
        self._notice = Notice(give_back)
        self.session.on_pressure(FIRST, self._notice)

    def ignore(self) -> None:
        if self._notice is not None:
            self.session.ignore_pressure(FIRST, self._notice)
            self._notice = None

    def new_queue(self) -> QueueId:
        queue = self.session.create_queue("fake")
        self.queues.append(queue)
        return queue

    def new_names(self, count: int) -> list[int]:
        free = (name for name in range(10_000) if name not in self.naive.pages)
        return [name for name, _ in zip(free, range(count), strict=False)]

    def new_pages(self, count: int, queue: QueueId) -> list[int]:
        pages = self.new_names(count)
        self.submit(AllocPages(page_names(pages)), queue)
        return pages

    def new_embs(self, count: int) -> list[int]:
        embs = list(range(self._embs, self._embs + count))
        self._embs += count
        self.submit(AllocEmbs(emb_names(embs)))
        return embs

    def new_text(self) -> Text:
        return Text(self, FIRST)

    def some_tokens(self, most: int) -> list[Token]:
        return [Token(self.dice.randrange(VOCABULARY)) for _ in range(self.dice.randint(1, most))]

    def some_spec(self) -> SamplingSpec:
        return SamplingSpec(temperature=self.dice.choice([0.0, 1.0]), seed=self.dice.randrange(100))

    def free_name(self) -> str | None:
        taken = self.simulation.names(self.tenant)
        return next((name for name in "abc" if name not in taken), None)

    def published_name(self) -> str | None:
        exports = self.session.exports("fake")
        return next((name for name in "abc" if exports.find(name) is not None), None)

    def length_of(self, name: str) -> int:
        """Tokens in the pages of an export."""
        return sum(token is not None for page in self.naive.exports[name] for token in page.tokens)
