"""Are the matcher columns of a pass in bounds?"""

from collections.abc import Iterator, Sequence

from pie.core.driver import DriverSpec
from pie.core.grammar import GRAMMAR_KINDS, MatcherOp, MatcherQuestion
from pie.core.passes import Pass

OPS = frozenset(MatcherOp)
QUESTIONS = frozenset(MatcherQuestion)
NO_MATTER = range(-(1 << 31), 1 << 31)


def matcher_faults(work: Pass, spec: DriverSpec) -> Iterator[str]:
    """What is wrong, in words."""
    if work.matcher_ops or work.grammar_texts or work.matcher_data:
        yield from op_faults(work, spec)
    if work.matcher_drops and not 0 <= min(work.matcher_drops) <= max(work.matcher_drops) < spec.matchers:
        yield f"matcher_drops: one is not between 0 and {spec.matchers - 1}"
    if work.matcher_reads:
        yield from read_faults(work.matcher_reads, spec)
    if work.dist_matchers:
        if len(work.dist_matchers) != len(work.dist_slots):
            yield f"dist_matchers: {len(work.dist_matchers)} rows instead of {len(work.dist_slots)}"
        if not -1 <= min(work.dist_matchers) <= max(work.dist_matchers) < spec.matchers:
            yield f"dist_matchers: one is not between -1 and {spec.matchers - 1}"


def op_faults(work: Pass, spec: DriverSpec) -> Iterator[str]:
    ops = work.matcher_ops
    if len(ops) % 4:
        yield f"matcher_ops: {len(ops)} numbers are not rows of 4"
        return
    if not OPS.issuperset(ops[::4]):
        yield "matcher_ops: there is an operation that does not exist"
        return
    for what, target, other in zip(ops[::4], ops[1::4], ops[2::4], strict=True):
        targets, others = bounds(MatcherOp(what), spec)
        if target not in targets or other not in others:
            yield f"matcher_ops: {MatcherOp(what).name} of {target} and {other} is out of bounds"
    if min(ops[3::4], default=0) < 0 or sum(ops[3::4]) != len(work.matcher_data):
        yield f"matcher_ops: they take {sum(ops[3::4])} tokens, but there are {len(work.matcher_data)}"
    if ops[::4].count(MatcherOp.LOAD) != len(work.grammar_texts):
        yield f"grammar_texts: {len(work.grammar_texts)} do not fit the operations"
    if work.matcher_data and not 0 <= min(work.matcher_data) <= max(work.matcher_data) < spec.vocabulary_size:
        yield f"matcher_data: a token is not between 0 and {spec.vocabulary_size - 1}"


def bounds(what: MatcherOp, spec: DriverSpec) -> tuple[range, range]:
    """Where target and other of an operation must lie."""
    match what:
        case MatcherOp.LOAD:
            return range(spec.grammars), range(len(GRAMMAR_KINDS))
        case MatcherOp.NEW:
            return range(spec.matchers), range(spec.grammars)
        case MatcherOp.FORK:
            return range(spec.matchers), range(spec.matchers)
        case MatcherOp.ROLLBACK:
            return range(spec.matchers), range(1 << 31)
        case _:
            return range(spec.matchers), NO_MATTER


def read_faults(reads: Sequence[int], spec: DriverSpec) -> Iterator[str]:
    if len(reads) % 2:
        yield f"matcher_reads: {len(reads)} numbers are not rows of 2"
    elif not 0 <= min(reads[::2]) <= max(reads[::2]) < spec.matchers:
        yield f"matcher_reads: a matcher is not between 0 and {spec.matchers - 1}"
    elif not QUESTIONS.issuperset(reads[1::2]):
        yield "matcher_reads: there is a question that does not exist"
