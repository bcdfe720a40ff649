"""Which commands may share a pass.

A driver executes the parts of a pass in a fixed order (copies one after the other, page masks, embeds,
forwards all at once, distributions and samples), not in the order of the queues. A command may ride along
only where that makes no difference to anyone; otherwise it ends its queue's prefix and waits for the next
pass. By physical page, embedding or token slot, whether the later command may join a pass that has the
earlier one:

    page: earlier ↓  later →   copy from   copy to   mask   forward reads   forward writes
    copied from or to            yes         yes      yes        yes             yes
    masked                       no          no       no         yes             yes
    forward reads                yes         no       no         yes             no *
    forward writes               no          no       no         no              no

    emb: earlier ↓   later →   embed   forward reads   forward writes   dist reads
    embedded                    no         yes              yes             yes
    forward reads               no         yes              yes             yes
    forward writes              no         no               no              yes
    dist reads                  no         yes              no              yes

    slot: earlier ↓  later →   embed reads   penalties read   sample writes
    embed reads                    yes            yes              yes
    penalties read                 yes            yes              yes
    sample writes                  no             no               no

    *  one and the same forward may read and write a page.

Embeds read slots, and penalties count them, as they were before the pass.

    matcher: earlier ↓  later →   operation   forked from   dist   sample   question
    operation, or forked from        yes          yes        yes     yes       yes
    dist looks at it                 no           yes        yes     yes       yes
    sample moves it                  no           no         no      no        yes
    question                         no           yes        yes     no        yes

A write to a page that others share is a copy *from* it, to a page of its own; what follows then happens to
a page that nobody else knows. Places freed while a pass is built are not given away within it. So all that
happens to one physical place within a pass belongs to those who shared it before.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from pie.control.leases import Kind
from pie.core.ids import PhysicalEmb, PhysicalMatcher, PhysicalPage, PhysicalSlot


class Touched:
    """What the commands of a pass do to physical places; answers the table above."""

    __slots__ = (
        "embs", "embs_embedded", "embs_produced", "embs_scored", "matchers_asked", "matchers_changed",
        "matchers_looked", "matchers_moved",
        "pages_changed", "pages_masked", "pages_read", "pages_written", "slots_sampled",
    )  # fmt: skip

    def __init__(self) -> None:
        self.pages_masked: set[PhysicalPage] = set()
        self.pages_read: set[PhysicalPage] = set()
        """By forwards."""
        self.pages_written: set[PhysicalPage] = set()
        """By forwards."""
        self.pages_changed: set[PhysicalPage] = set()
        """In any way: their contents are unknown if the pass fails."""
        self.embs: set[PhysicalEmb] = set()
        """Touched in any way."""
        self.embs_embedded: set[PhysicalEmb] = set()
        self.embs_produced: set[PhysicalEmb] = set()
        """Written by forwards."""
        self.embs_scored: set[PhysicalEmb] = set()
        self.slots_sampled: set[PhysicalSlot] = set()
        self.matchers_changed: set[PhysicalMatcher] = set()
        """By operations."""
        self.matchers_looked: set[PhysicalMatcher] = set()
        """By distributions."""
        self.matchers_moved: set[PhysicalMatcher] = set()
        """By samples."""
        self.matchers_asked: set[PhysicalMatcher] = set()

    def embed(self, places: Sequence[PhysicalEmb]) -> None:
        self.embs.update(places)
        self.embs_embedded.update(places)

    def score(self, place: PhysicalEmb) -> None:
        self.embs.add(place)
        self.embs_scored.add(place)

    def step(
        self, emb: PhysicalEmb, oemb: PhysicalEmb, target: PhysicalPage, pages: Sequence[PhysicalPage]
    ) -> None:
        """A step of decoding: embed, forward, sample."""
        self.embs.update((emb, oemb))
        self.embs_embedded.add(emb)
        self.embs_produced.add(oemb)
        self.embs_scored.add(oemb)
        self.pages_read.update(pages)
        self.pages_written.add(target)

    def written(self) -> Mapping[Kind, set[Any]]:
        """Whose contents are unknown if the pass fails."""
        return {
            "pages": self.pages_changed | self.pages_written,
            "embs": self.embs_embedded | self.embs_produced,
            "slots": self.slots_sampled,
            "matchers": self.matchers_changed | self.matchers_moved,
        }

    def may_operate(self, matcher: PhysicalMatcher) -> bool:
        return (
            matcher not in self.matchers_looked
            and matcher not in self.matchers_moved
            and matcher not in self.matchers_asked
        )

    def may_copy_from(self, page: PhysicalPage) -> bool:
        return page not in self.pages_written and page not in self.pages_masked

    def may_copy_to(self, page: PhysicalPage) -> bool:
        """The same holds for a mask."""
        return (
            page not in self.pages_read and page not in self.pages_written and page not in self.pages_masked
        )

    def may_write(self, page: PhysicalPage) -> bool:
        return page not in self.pages_read and page not in self.pages_written
