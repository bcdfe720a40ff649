"""`pie:inferlet/output-text`: distributions of the next token, and what can be read from one."""

from collections.abc import Sequence

from pie.application.bindings.futures import note_wait
from pie.application.guest import Guest
from pie.application.hostcall import suspends
from pie.application.sampling import Sampling, sample
from pie.application.token_run import TokenRun
from pie.core.commands import Dist, NextDist
from pie.core.errors import InvalidArgument
from pie.core.ids import QueueId, Token, VirtualEmb

MOST_TOP_K = 4096


def get_next_dist(guest: Guest, queue: QueueId, emb: VirtualEmb, top_k: int, tokens: Sequence[Token]) -> int:
    if not 0 <= top_k <= MOST_TOP_K:
        raise InvalidArgument(f"top_k must be from 0 to {MOST_TOP_K}, not {top_k}")
    return guest.ask(queue, NextDist(emb, top_k, tokens))


@suspends
def take_tokens(guest: Guest, run: int) -> object:
    future = guest.futures.get(run)

    def finish() -> list[int]:
        if isinstance(future, TokenRun):
            tokens, over = future.take(), future.over
        else:
            tokens, over = future.result(), True
        if not isinstance(tokens, list) or not all(isinstance(token, int) for token in tokens):
            raise InvalidArgument(f"future {run} has no tokens: it is not of read_slots or decode_ahead")
        if over:
            guest.futures.drop((run,))
        return tokens

    note_wait(guest, (future,))
    return guest.wait_for(future, finish)


def dist_max_index(guest: Guest, dist: int) -> int:
    return _ranked(guest, dist).tokens[0]


def dist_sample(guest: Guest, dist: int, how: Sampling) -> int:
    return sample(_ranked(guest, dist), how)


def dist_top(guest: Guest, dist: int, k: int) -> tuple[Sequence[int], Sequence[float]]:
    found = _dist(guest, dist)
    return found.tokens[:k], found.probs[:k]


def dist_logprob(guest: Guest, dist: int, token: int) -> float:
    chosen = _dist(guest, dist).chosen
    if token not in chosen:
        raise InvalidArgument(
            f"dist {dist} has no log-probability of token {token}: name it in `tokens` of get-next-dist"
        )
    return chosen[token]


def dist_entropy(guest: Guest, dist: int) -> float:
    return _dist(guest, dist).entropy


def _dist(guest: Guest, number: int) -> Dist:
    future = guest.futures.get(number)
    if not future.done:
        raise InvalidArgument(f"dist {number} is not ready: wait for it first")
    value = future.result()
    if not isinstance(value, Dist):
        raise InvalidArgument(f"future {number} is not a distribution")
    return value


def _ranked(guest: Guest, number: int) -> Dist:
    """A distribution that has at least its best token."""
    found = _dist(guest, number)
    if not len(found.tokens):
        raise InvalidArgument(f"dist {number} has no best tokens: ask for top_k of at least 1")
    return found


FUNCTIONS = (
    get_next_dist,
    take_tokens,
    dist_max_index,
    dist_sample,
    dist_top,
    dist_logprob,
    dist_entropy,
)
