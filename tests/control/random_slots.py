"""Commands with slots that a random program may give."""

from random import Random

from random_parts import Owner, some
from world import PAGE_SIZE, emb_names, page_names, slot_names

from pie.core.commands import Command, DecodeAhead, EmbedSlots, ReadSlots, Sample, SamplingSpec, Score
from pie.core.ids import Token, VirtualEmb, VirtualSlot

POSITIONS = 12


def make_slot_commands(owner: Owner, dice: Random, vocabulary: int) -> list[Command]:
    """None, one, or a sample and what follows from it."""
    makers = (sample_and_go_on, embed, read, score, decode)
    return dice.choices(makers, (4, 1, 1, 1, 3))[0](owner, dice, vocabulary)


def make_spec(owner: Owner, dice: Random, vocabulary: int) -> SamplingSpec:
    spec = SamplingSpec(
        temperature=dice.choice([0.0, 0.7, 3.0]), top_p=dice.choice([1.0, 0.8]), seed=dice.getrandbits(64)
    )
    if dice.random() < 0.5:
        return spec
    seen = [Token(dice.randrange(vocabulary)) for _ in range(dice.randrange(4))]
    named = slot_names(dice.choices(owner.filled, k=dice.randrange(3))) if owner.filled else []
    return spec._replace(
        repetition_penalty=dice.choice([1.0, 1.5]), frequency_penalty=1.0, seen=seen, seen_slots=named
    )


def sample_and_go_on(owner: Owner, dice: Random, vocabulary: int) -> list[Command]:
    if not (owner.written and owner.slots):
        return []
    slot = VirtualSlot(dice.choice(owner.slots))
    emb = VirtualEmb(dice.choice(owner.written))
    commands: list[Command] = [Sample(emb, make_spec(owner, dice, vocabulary), slot, None)]
    if dice.random() < 0.6:
        commands.append(EmbedSlots([slot], [dice.randrange(POSITIONS)], emb_names([dice.choice(owner.embs)])))
    if dice.random() < 0.4:
        commands += (ReadSlots([slot]), Sample(emb, make_spec(owner, dice, vocabulary), slot, None))
    return commands


def embed(owner: Owner, dice: Random, vocabulary: int) -> list[Command]:
    del vocabulary
    embs = some(dice, owner.embs, 3)
    slots = dice.choices(owner.filled, k=len(embs)) if owner.filled else []
    positions = [dice.randrange(POSITIONS) for _ in slots]
    return [EmbedSlots(slot_names(slots), positions, emb_names(embs[: len(slots)]))]


def read(owner: Owner, dice: Random, vocabulary: int) -> list[Command]:
    del vocabulary
    return [ReadSlots(slot_names(some(dice, owner.filled, 3)))]


def score(owner: Owner, dice: Random, vocabulary: int) -> list[Command]:
    embs = dice.choices(owner.written, k=dice.randint(0, 4)) if owner.written else []
    return [Score(emb_names(embs), [Token(dice.randrange(vocabulary)) for _ in embs])]


def decode(owner: Owner, dice: Random, vocabulary: int) -> list[Command]:
    pages = some(dice, owner.own_pages, 3)
    steps = dice.randint(1, 5)
    room = len(pages) * PAGE_SIZE - (steps - 1)
    if room < 0 or not owner.written:
        return []
    emb, oemb = dice.choice(owner.embs), dice.choice(owner.written)
    return [
        DecodeAhead(
            make_spec(owner, dice, vocabulary), dice.randrange(POSITIONS), page_names(pages),
            dice.randint(0, room), VirtualEmb(emb), VirtualEmb(oemb), steps,
        )
    ]  # fmt: skip
