"""Matchers in a pass: who may use one, and who may fail because of it."""

from pie.control.batch import Batch
from pie.control.leases import MatcherLease
from pie.control.ticket import Entry
from pie.core.ids import PhysicalMatcher
from pie.core.passes import FaultKind

NO_MATCHER = PhysicalMatcher(-1)


def find_matcher(lease: MatcherLease) -> PhysicalMatcher:
    """Raises what makes it unusable."""
    if lease.physical is None:
        raise lease.unreadable()
    return lease.physical


def may_look(batch: Batch, lease: MatcherLease | None) -> PhysicalMatcher | None:
    """The matcher of a distribution; None where it must wait for the next pass."""
    if lease is None:
        return NO_MATCHER
    matcher = find_matcher(lease)
    return None if matcher in batch.touched.matchers_moved else matcher


def may_take(batch: Batch, lease: MatcherLease | None) -> PhysicalMatcher | None:
    """The matcher that a sample moves; None where it must wait for the next pass."""
    if lease is None:
        return NO_MATCHER
    matcher, touched = find_matcher(lease), batch.touched
    return None if matcher in touched.matchers_moved or matcher in touched.matchers_asked else matcher


def look(batch: Batch, entry: Entry, lease: MatcherLease | None) -> None:
    """The distribution that comes next depends on it."""
    if lease is not None:
        batch.may_fail(FaultKind.DIST, len(batch.columns.dist_slots), entry.queue, lease)
        batch.touched.matchers_looked.add(find_matcher(lease))


def take(batch: Batch, entry: Entry, lease: MatcherLease | None) -> None:
    """The sample that comes next moves it."""
    if lease is not None:
        batch.may_fail(FaultKind.SAMPLE, len(batch.columns.sample_embs), entry.queue, lease)
        batch.touched.matchers_moved.add(find_matcher(lease))
