"""What random programs are made of."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random

from naive import NaiveProgram
from world import PAGE_SIZE, Program, emb_names, page_names

from pie.core.commands import Dist, Forward
from pie.core.ids import QueueId

Answer = Dist | list[int] | list[float] | None


@dataclass
class Owner:
    """A queue and the names that only it uses."""

    inferlet: "Inferlet"
    queue: QueueId
    pages: list[int] = field(default_factory=list)
    embs: list[int] = field(default_factory=list)
    slots: list[int] = field(default_factory=list)
    imported: set[int] = field(default_factory=set)
    """Those of its pages that are somebody else's."""
    expected: dict[str, Answer] = field(default_factory=dict)
    """What completions that were not called yet must say."""

    @property
    def own_pages(self) -> list[int]:
        """Pages that may be written."""
        return [page for page in self.pages if page not in self.imported]

    @property
    def written(self) -> list[int]:
        """Embs that hold something."""
        return [emb for emb in self.embs if self.inferlet.naive.embs[emb] is not None]

    @property
    def filled(self) -> list[int]:
        """Slots that hold something."""
        return [slot for slot in self.slots if self.inferlet.naive.slots[slot] is not None]


@dataclass
class Inferlet:
    program: Program
    naive: NaiveProgram
    owners: list[Owner] = field(default_factory=list)


def some(dice: Random, values: Sequence[int], most: int, least: int = 0) -> list[int]:
    """Some of the values, in any order."""
    most = max(0, min(most, len(values)))
    return dice.sample(values, dice.randint(min(least, most), most))


def make_forward(owner: Owner, dice: Random, iemb: list[int]) -> Forward:
    """Mostly like a step that fills pages, sometimes with anything that is allowed."""
    ikv = list(owner.pages) if dice.random() < 0.6 else some(dice, owner.pages, 4)
    okv = some(dice, owner.own_pages, 3, 1)
    room = len(okv) * PAGE_SIZE - len(iemb)
    if room < 0 or dice.random() < 0.1:
        okv, room = [], 0
    offset = dice.randint(0, min(room, PAGE_SIZE - 1 if dice.random() < 0.8 else room))
    oemb = some(dice, owner.embs, len(iemb))
    outputs = [dice.randrange(len(iemb)) for _ in oemb] if dice.random() < 0.3 else []
    mask = make_mask(dice, len(ikv) * PAGE_SIZE + len(iemb), len(iemb)) if dice.random() < 0.25 else None
    return Forward(page_names(ikv), emb_names(iemb), page_names(okv), offset, emb_names(oemb), outputs, mask)


def make_mask(dice: Random, width: int, rows: int) -> list[list[int]]:
    mask = []
    for _ in range(rows):
        edges = sorted(dice.randint(0, width) for _ in range(dice.randint(0, 5)))
        mask.append([b - a for a, b in zip([0, *edges], edges, strict=False)])
    return mask


def same(got: object, expected: Answer) -> bool:
    if isinstance(got, list) and isinstance(expected, list):
        return len(got) == len(expected) and all(
            abs(one - other) < 1e-5 for one, other in zip(got, expected, strict=True)
        )
    if not isinstance(got, Dist) or not isinstance(expected, Dist):
        return got is expected
    close = all(abs(got.chosen[token] - value) < 1e-5 for token, value in expected.chosen.items())
    return close and (got.tokens, got.probs) == (expected.tokens, expected.probs)
