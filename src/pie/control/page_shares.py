"""How a model's pages are shared between the tenants that have programs here, by weight."""

from collections import Counter
from collections.abc import Iterable, Mapping

from pie.control.addresses import AddressSpace


class PageShares:
    """At a moment. Shares decide only between tenants, and only who must give way: whoever wants more than
    its share has it as long as nobody else wants theirs."""

    def __init__(self, spaces: Iterable[AddressSpace], weights: Mapping[str, float], total: int) -> None:
        self._held: Counter[str] = Counter()
        for space in spaces:
            self._held[space.tenant] += space.pages.held.held
        found = {tenant: weights.get(tenant, 1.0) for tenant in self._held}
        unit = total / (sum(found.values()) or 1.0)
        self._share = {tenant: weight * unit for tenant, weight in found.items()}

    def exceeds(self, tenant: str) -> bool:
        """Whether it holds more than its share."""
        return self._held[tenant] > self._share[tenant]

    def fits(self, tenant: str, count: int) -> bool:
        """Whether so many more pages are within its share."""
        return self._held[tenant] + count <= self._share[tenant]

    def spares(self, tenant: str, count: int) -> bool:
        """Whether without so many pages it still has its share: so it cannot take them back."""
        return self._held[tenant] - count >= self._share[tenant]

    def may_take(
        self, space: AddressSpace, count: int, other: AddressSpace, size: int, starves: bool
    ) -> bool:
        """Whether `space`, which wants `count` more pages, may have the `size` pages of `other` taken away.
        `starves`: the other waits for more pages itself. So of those who all want more than their share the
        oldest goes on, and who is within its share is left alone while it gets on."""
        mine, theirs = priority_of(space), priority_of(other)
        if mine != theirs:
            return mine > theirs
        if space.tenant != other.tenant:
            if self.fits(space.tenant, count):
                return self.spares(other.tenant, size) or is_older(space, other)
            return (starves or self.exceeds(other.tenant)) and is_older(space, other)
        return is_older(space, other)

    def goes_before(self, other: AddressSpace, space: AddressSpace, count: int) -> bool:
        """Whether `space`, which wants `count` more pages, has to leave room for `other`."""
        mine, theirs = priority_of(space), priority_of(other)
        if mine != theirs:
            return theirs > mine
        if space.tenant != other.tenant:
            fits, exceeds = self.fits(space.tenant, count), self.exceeds(other.tenant)
            if fits == exceeds:
                return not fits
        return is_older(other, space)

    def turn(self, space: AddressSpace, count: int) -> tuple[int, bool, int]:
        """Of those that want so many more pages, the highest goes first."""
        return priority_of(space), self.fits(space.tenant, count), -space.number


def priority_of(space: AddressSpace) -> int:
    return max((queue.priority for queue in space.queues), default=0)


def is_older(space: AddressSpace, other: AddressSpace) -> bool:
    return space.number < other.number
