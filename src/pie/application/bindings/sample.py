"""`pie:inferlet/sample`: tokens that live with the driver, and decoding ahead of the program."""

from collections.abc import Sequence
from functools import partial

from pie.application.guest import Guest
from pie.application.token_run import TokenRun
from pie.core.commands import (
    AllocSlots,
    DecodeAhead,
    EmbedSlots,
    FreeSlots,
    ReadSlots,
    Sample,
    SamplingSpec,
)
from pie.core.errors import InvalidArgument
from pie.core.ids import QueueId, Token, VirtualEmb, VirtualMatcher, VirtualPage, VirtualSlot


def alloc_slot(guest: Guest, queue: QueueId, slots: Sequence[VirtualSlot]) -> None:
    guest.session.submit(queue, AllocSlots(slots))


def dealloc_slot(guest: Guest, queue: QueueId, slots: Sequence[VirtualSlot]) -> None:
    guest.session.submit(queue, FreeSlots(slots))


def sample(
    guest: Guest,
    queue: QueueId,
    emb: VirtualEmb,
    spec: SamplingSpec,
    slot: VirtualSlot,
    matcher: VirtualMatcher | None,
) -> None:
    guest.session.submit(queue, Sample(emb, spec, slot, matcher))


def embed_slot(
    guest: Guest,
    queue: QueueId,
    slots: Sequence[VirtualSlot],
    positions: Sequence[int],
    embs: Sequence[VirtualEmb],
) -> None:
    guest.session.submit(queue, EmbedSlots(slots, positions, embs))


def read_slots(guest: Guest, queue: QueueId, slots: Sequence[VirtualSlot]) -> int:
    return guest.ask(queue, ReadSlots(slots))


def decode_ahead(
    guest: Guest,
    queue: QueueId,
    spec: SamplingSpec,
    position: int,
    pages: Sequence[VirtualPage],
    offset: int,
    emb: VirtualEmb,
    oemb: VirtualEmb,
    count: int,
    stop: Sequence[Token],
    chunk: int,
    matcher: VirtualMatcher | None,
    adapter: str | None,
) -> int:
    if chunk < 1:
        raise InvalidArgument("decode_ahead: a chunk of 0 tokens: at least 1")
    guest.futures.check_room()
    run = TokenRun(chunk, partial(guest.session.stop, queue))
    command = DecodeAhead(spec, position, pages, offset, emb, oemb, count, stop, matcher, adapter or "")
    guest.session.submit(queue, command, run)
    return guest.futures.add(run)


FUNCTIONS = (alloc_slot, dealloc_slot, sample, embed_slot, read_slots, decode_ahead)
