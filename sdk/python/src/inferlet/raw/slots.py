"""Trait *sample*: tokens that live with the driver, so that decoding can run ahead of its program."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from inferlet.checks import U64_MAX, number, unsigned, unsigned_list
from inferlet.futures import Future, Reading
from inferlet.host import bound
from inferlet.raw.calls import call


class SamplingSpec(NamedTuple):
    """How a token is drawn from the best 256: penalties first, then temperature, top-k, top-p, min-p, draw.

    temperature: 0 takes the best. top_k: 0 is no limit. seed: one draw; give each step its own.
    repetition_penalty: above 1 makes tokens seen rarer; presence_penalty, frequency_penalty: taken off their
    logits once each, and once an occurrence. seen, seen_slots: the tokens that count as seen.
    """

    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    seed: int = 0
    repetition_penalty: float = 1.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    seen: Sequence[int] = ()
    seen_slots: Sequence[int] = ()

    def checked(self) -> "SamplingSpec":
        """Itself, with every field of the right type and range for the host."""
        return SamplingSpec(
            number("temperature", self.temperature), number("top_p", self.top_p),
            unsigned("top_k", self.top_k), number("min_p", self.min_p), unsigned("seed", self.seed, U64_MAX),
            number("repetition_penalty", self.repetition_penalty),
            number("presence_penalty", self.presence_penalty),
            number("frequency_penalty", self.frequency_penalty), unsigned_list("seen", self.seen),
            unsigned_list("seen_slots", self.seen_slots),
        )


def alloc_slot(queue: int, slots: Iterable[int]) -> None:
    """Takes slots (one holds one token) under the given ids. Fails for an id that is in use."""
    call(bound.host.sample.alloc_slot, unsigned("queue", queue), unsigned_list("slots", slots))


def dealloc_slot(queue: int, slots: Iterable[int]) -> None:
    """Gives slots back, when what is queued before has been executed; the ids are free at once."""
    call(bound.host.sample.dealloc_slot, unsigned("queue", queue), unsigned_list("slots", slots))


def sample(queue: int, emb: int, spec: SamplingSpec, slot: int, matcher: int | None = None) -> None:
    """Draws the token after the one at `emb` into a slot.

    matcher: only tokens that it allows can be drawn, and it moves on by the one that was.
    """
    call(
        bound.host.sample.sample, unsigned("queue", queue), unsigned("emb", emb), spec.checked(),
        unsigned("slot", slot), None if matcher is None else unsigned("matcher", matcher),
    )


def embed_slot(queue: int, slots: Iterable[int], positions: Iterable[int], embs: Iterable[int]) -> None:
    """`embed_txt` of the tokens that will be in the slots by then; three lists of one length."""
    call(
        bound.host.sample.embed_slot, unsigned("queue", queue), unsigned_list("slots", slots),
        unsigned_list("positions", positions), unsigned_list("embs", embs),
    )


def read_slots(queue: int, slots: Iterable[int]) -> Future[list[int]]:
    """The tokens in slots, as sampled by what was queued before."""
    return Reading(
        call(bound.host.sample.read_slots, unsigned("queue", queue), unsigned_list("slots", slots)),
        bound.host.output_text.take_tokens,
        waits=True,
    )


class TokenRun(Future[list[int]]):
    """Tokens of `decode_ahead`. `await` it again and again: each time it gives those that came since.

    That are at least `chunk`, but at the end: after the `count`-th token, or one of `stop`, it is over.
    """

    __slots__ = ("_tokens",)

    def end(self) -> None:
        """It is over or dropped: the host need not be told to forget it."""
        self._done = True

    def __del__(self) -> None:
        if not self._done:
            super().__del__()

    def _settle(self) -> None:
        self._tokens = call(bound.host.output_text.take_tokens, self.id)

    def _take(self) -> list[int]:
        return self._tokens


def decode_ahead(
    queue: int, spec: SamplingSpec, position: int, pages: Iterable[int], offset: int, emb: int, oemb: int,
    count: int, stop: Iterable[int] = (), chunk: int = 1, matcher: int | None = None,
    adapter: str | None = None,
) -> TokenRun:
    """`count` times `sample` at `oemb` and, after each but the last, `embed_slot` and `forward` of the token.

    position: of the first token. pages, offset: what the tokens see, and where in it the first is stored.
    emb, oemb: takes the token, and its hidden state; `oemb` must hold one. stop: tokens that end it early (up
    to two steps more may have been run by then). chunk: how many new tokens make the run ready.
    """
    return TokenRun(
        call(
            bound.host.sample.decode_ahead, unsigned("queue", queue), spec.checked(),
            unsigned("position", position), unsigned_list("pages", pages), unsigned("offset", offset),
            unsigned("emb", emb), unsigned("oemb", oemb), unsigned("count", count),
            unsigned_list("stop", stop), unsigned("chunk", chunk),
            None if matcher is None else unsigned("matcher", matcher), adapter,
        )
    )
