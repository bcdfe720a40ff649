"""Commands with token slots: samples, embeds from slots, runs of decoding; and scores."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import cast

from pie.control.addresses import AddressSpace
from pie.control.bounds import Bounds, Check
from pie.control.leases import Lease, MatcherLease, SlotLease
from pie.control.work import (
    DecodeWork,
    EmbedSlotsWork,
    FreeWork,
    How,
    ReadSlotsWork,
    SampleWork,
    ScoreWork,
)
from pie.core.commands import (
    AllocSlots,
    Completion,
    DecodeAhead,
    EmbedSlots,
    FreeSlots,
    Listener,
    ReadSlots,
    Sample,
    SamplingSpec,
    Score,
)
from pie.core.errors import InternalError, InvalidArgument
from pie.core.ids import PhysicalSlot, VirtualMatcher, VirtualSlot
from pie.sampling import check_spec

UNNAMED = VirtualSlot(-1)


def alloc_slots(bounds: Bounds, space: AddressSpace, command: AllocSlots, _: Completion | None) -> None:
    bounds.check_length("alloc_slot", command.slots)
    space.slots.add(command.slots)


def free_slots(bounds: Bounds, space: AddressSpace, command: FreeSlots, _: Completion | None) -> FreeWork:
    bounds.check_length("dealloc_slot", command.slots)
    return FreeWork(len(command.slots), "slots", space.slots.remove(command.slots))


def embed_slots(
    bounds: Bounds, space: AddressSpace, command: EmbedSlots, _: Completion | None
) -> EmbedSlotsWork | None:
    slots, positions, names = command
    count = len(slots)
    if count != len(positions) or count != len(names):
        raise InvalidArgument(
            f"embed_slot: {count} slots, {len(positions)} positions and {len(names)} embs: "
            "give one of each for every token"
        )
    if not count:
        return None
    bounds.check_length("embed_slot", slots)
    bounds.check_positions("embed_slot", positions)
    sources, embs = space.slots.find(slots), space.embs.find(names)
    space.embs.check_distinct(names)
    return EmbedSlotsWork(sources, positions, embs, 3 * count)


def sample(bounds: Bounds, space: AddressSpace, command: Sample, _: Completion | None) -> SampleWork:
    spec = command.spec
    how, seen_slots = check_how("sample", bounds, space, spec)
    emb = space.embs.find((command.emb,))[0]
    slot = space.slots.find((command.slot,))[0]
    matcher = find_matcher(space, command.matcher)
    size = 9 + len(spec.seen) + len(seen_slots)
    seen = spec.seen if how.penalises else ()
    return SampleWork(emb, how, spec.seed, seen, seen_slots if how.penalises else [], slot, matcher, size)


def check_how(
    call: str, bounds: Bounds, space: AddressSpace, spec: SamplingSpec
) -> tuple[How, list[SlotLease]]:
    """What a spec says, and the slots that its penalties count."""
    check_spec(spec)
    bounds.check_length(call, spec.seen)
    bounds.check_length(call, spec.seen_slots)
    bounds.check_tokens(call, spec.seen)
    penalties = (spec.repetition_penalty, spec.presence_penalty, spec.frequency_penalty)
    numbers = (spec.temperature, spec.top_p, spec.min_p, *penalties)
    how = How(numbers, spec.top_k, penalties != (1, 0, 0))
    return how, space.slots.find(spec.seen_slots) if spec.seen_slots else []


def find_matcher(space: AddressSpace, matcher: VirtualMatcher | None) -> MatcherLease | None:
    return None if matcher is None else space.matchers.find((matcher,))[0]


def read_slots(
    bounds: Bounds, space: AddressSpace, command: ReadSlots, completion: Completion | None
) -> ReadSlotsWork:
    bounds.check_length("read_slots", command.slots)
    return ReadSlotsWork(len(command.slots), space.slots.find(command.slots), completion)


def decode_ahead(
    bounds: Bounds, space: AddressSpace, command: DecodeAhead, completion: Completion | None
) -> DecodeWork:
    if completion is None:
        raise InternalError("decode_ahead needs somebody who listens")
    steps, first = command.steps, command.position
    if steps < 1:
        raise InvalidArgument(f"decode_ahead: a count of {steps}: at least 1")
    if first < 0 or steps > 1:
        bounds.check_positions("decode_ahead", (first, first + steps - 2))
    room = len(command.pages) * bounds.page_size
    if command.offset < 0 or command.offset + steps - 1 > room:
        raise InvalidArgument(
            f"decode_ahead: {steps - 1} tokens from token {command.offset} on do not fit into "
            f"{len(command.pages)} pages of {bounds.page_size} tokens"
        )
    for call in (command.pages, command.stop):
        bounds.check_length("decode_ahead", call)
    how, seen_slots = check_how("decode_ahead", bounds, space, command.spec)
    pages = space.pages.find(command.pages)
    space.pages.check_distinct(command.pages)
    written = pages[command.offset // bounds.page_size :]
    bounds.check_writable("decode_ahead", written)
    bounds.check_adapter("decode_ahead", command.adapter)
    emb, oemb = space.embs.find((command.emb, command.oemb))
    slot: Lease[VirtualSlot, PhysicalSlot] = Lease("slot", UNNAMED)
    run = DecodeWork(
        how,
        command.spec.seed,
        list(command.spec.seen),
        seen_slots,
        first,
        pages,
        command.offset,
        emb,
        oemb,
        steps,
        frozenset(command.stop),
        find_matcher(space, command.matcher),
        command.adapter,
        slot,
        cast(Listener, completion),
        len(pages) + len(command.stop) + len(command.spec.seen) + len(seen_slots) + 12,
    )
    space.slots.leaving[slot] = None
    return run


def score(bounds: Bounds, space: AddressSpace, command: Score, completion: Completion | None) -> ScoreWork:
    embs, targets = command
    if len(embs) != len(targets):
        raise InvalidArgument(f"logprobs: {len(embs)} embs and {len(targets)} targets: give one for each")
    if len(embs) > bounds.settings.max_scored:
        raise InvalidArgument(f"logprobs: {len(embs)} targets: at most {bounds.settings.max_scored} at once")
    bounds.check_tokens("logprobs", targets)
    return ScoreWork(space.embs.find(embs), targets, completion, 2 * len(embs))


CHECKS: Mapping[type, Check] = MappingProxyType(
    {
        AllocSlots: alloc_slots,
        FreeSlots: free_slots,
        EmbedSlots: embed_slots,
        Sample: sample,
        ReadSlots: read_slots,
        DecodeAhead: decode_ahead,
        Score: score,
    }
)
