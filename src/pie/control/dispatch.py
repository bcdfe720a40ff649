"""Results of passes become answers to programs."""

from itertools import islice

from pie.control.faults import Refusal, are_known, find_lost, find_refusals
from pie.control.memory import Memory
from pie.control.outcomes import Outcome, StepOutcome
from pie.control.planner import Planner
from pie.control.queue import CommandQueue
from pie.control.shapes import fits
from pie.control.ticket import Entry, Ticket
from pie.control.trace import note_pass
from pie.control.traffic import Traffic
from pie.control.work import DecodeWork
from pie.core.commands import Dist
from pie.core.errors import InternalError, LimitExceeded, PieError
from pie.core.passes import PassResult

IN_PASSES = ("tokens", "compute_ms")


class Dispatcher:
    """Finishes tickets in the order in which they were sent; answers go to the planner's outcomes."""

    def __init__(self, planner: Planner, memory: Memory) -> None:
        self.traffic = Traffic()
        self._planner = planner
        self._memory = memory

    def finish(self, result: PassResult, now: float) -> None:
        """Ignores passes that are not in flight: they were sent to a driver that has died since."""
        in_flight = self._planner.in_flight
        if not in_flight or in_flight[0].work.number != result.number:
            return
        if result.error:
            self.fail(InternalError(f"the model failed in pass {result.number}: {result.error}"), now)
            return
        ticket = in_flight[0]
        if not (fits(ticket.work, result) and are_known(ticket.fallible, ticket.work, result)):
            self.fail(InternalError(f"the driver's answer to pass {result.number} has the wrong shape"), now)
            return
        over = self._charge(ticket, result.seconds)
        if result.fault_rows:
            self._memory.lose_pages(dict(find_lost(ticket.work, result)), now)
            self._refuse_rows(ticket, result, now)
        self._take_samples(ticket, result)
        self._answer(ticket, result)
        in_flight.popleft()
        self._planner.arrived(ticket, now)
        self._planner.returned(ticket, result.seconds, now)
        self.traffic.count(ticket, result.seconds)
        for entry in over:
            self._stop(entry, now)

    def fail(self, error: PieError, now: float) -> None:
        """Fails every pass in flight: those sent after the failed one may have read what it left behind.

        Their queues are poisoned, and what they wrote is lost to all who share it.
        """
        tickets = list(self._planner.in_flight)
        self._planner.in_flight.clear()
        for ticket in tickets:
            note_pass(ticket, ticket.sent, now, failed=True)
            self._settle(ticket)
            self._refuse(ticket, error, now)
            self._memory.lose(ticket.written, now)
            self._memory.lose_swapped(ticket.host_places, now)
        self._memory.settle()
        for ticket in tickets:
            self._planner.arrived(ticket, now)
        self._planner.driver_free(now)
        self.traffic.failed_passes += len(tickets)

    def _refuse(self, ticket: Ticket, error: PieError, now: float) -> None:
        outcomes = self._planner.outcomes
        for dist in ticket.dists:
            if dist.completion is not None:
                outcomes.append(Outcome(dist.queue, dist.completion, None, error))
        for sample in ticket.samples:
            if sample.run is not None:
                self._planner.fail_run(sample.queue, sample.run, error)
        for question in ticket.questions:
            outcomes.append(Outcome(question.queue, question.completion, None, error))
        for entry in ticket.entries:
            if entry.epoch == entry.queue.epoch and not entry.queue.closed:
                self._planner.poison(entry.queue, error, now)

    def _refuse_rows(self, ticket: Ticket, result: PassResult, now: float) -> None:
        """Some commands failed alone. Their queues are poisoned; what these have asked since fails too."""
        found = find_refusals(ticket.fallible, result)
        for queue, refusal in found.items():
            ticket.refused.setdefault(queue, refusal)
        for entry in ticket.entries:
            queue = entry.queue
            if queue in found:
                for later in islice(self._planner.in_flight, 1, None):
                    if any(other.queue is queue and other.epoch == entry.epoch for other in later.entries):
                        later.refused.setdefault(queue, Refusal(found[queue].error))
                if entry.epoch == queue.epoch and not queue.closed:
                    self._planner.poison(queue, found[queue].error, now)

    def _take_samples(self, ticket: Ticket, result: PassResult) -> None:
        for i, ((queue, sampled, run), token) in enumerate(zip(ticket.samples, result.sampled, strict=True)):
            sampled.token = token
            if run is not None and not run.over:
                refusal = ticket.refused.get(queue)
                if refusal is not None and i >= refusal.samples:
                    self._planner.fail_run(queue, run, refusal.error)
                else:
                    self._advance(queue, run, token)

    def _advance(self, queue: CommandQueue, run: DecodeWork, token: int) -> None:
        """A run has its next token."""
        outcomes = self._planner.outcomes
        run.known += 1
        if run.how.penalises:
            run.seen.append(token)
        outcomes.append(StepOutcome(queue, run.completion, token))
        if run.known == run.steps or token in run.stop:
            run.over = True
            outcomes.append(Outcome(queue, run.completion, None, None))
            self._planner.stir(queue)

    def _answer(self, ticket: Ticket, result: PassResult) -> None:
        outcomes = self._planner.outcomes
        tokens, probs, starts = result.top_tokens, result.top_probs, result.top_starts
        chosen, entropies, scored = result.chosen_logprobs, result.entropies, 0
        logits = result.best_logits
        for i, (queue, completion, wanted) in enumerate(ticket.dists):
            facts: dict[int, float] = {}
            if wanted:
                facts = dict(zip(wanted, chosen[scored : scored + len(wanted)], strict=True))
                scored += len(wanted)
            refusal = ticket.refused.get(queue)
            if completion is not None and refusal is not None and i >= refusal.dists:
                outcomes.append(Outcome(queue, completion, None, refusal.error))
            elif completion is not None:
                row = slice(starts[i], starts[i + 1])
                dist = Dist(tokens[row], probs[row], facts, entropies[i], logits[i])
                outcomes.append(Outcome(queue, completion, dist, None))
        for i, (queue, completion, read) in enumerate(ticket.questions):
            refusal = ticket.refused.get(queue)
            if refusal is not None and i >= refusal.questions:
                outcomes.append(Outcome(queue, completion, None, refusal.error))
            else:
                outcomes.append(Outcome(queue, completion, read(result), None))

    def _stop(self, entry: Entry, now: float) -> None:
        """Its program, or its tenant, has used up what it may."""
        queue = entry.queue
        queue.account.over = True
        try:
            queue.account.budget.check_all(IN_PASSES)
        except LimitExceeded as error:
            if entry.epoch == queue.epoch and not queue.closed:
                self._planner.poison(queue, error, now)

    def _charge(self, ticket: Ticket, seconds: float) -> list[Entry]:
        """Each program's share of the pass, by its input tokens and distributions. Those that have used up
        what they may."""
        over = []
        weights = [entry.cost for entry in ticket.entries]
        unit = 1000.0 * seconds / max(1, sum(weights))
        for entry, weight in zip(ticket.entries, weights, strict=True):
            account = entry.queue.account
            account.commands -= entry.commands
            account.numbers -= entry.size
            account.tokens += entry.tokens
            account.compute_ms += weight * unit
            if account.budget.charge_pass(entry.tokens, weight * unit):
                over.append(entry)
        return over

    def _settle(self, ticket: Ticket) -> None:
        for entry in ticket.entries:
            entry.queue.account.settle(entry.commands, entry.size)
