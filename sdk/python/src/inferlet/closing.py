"""JSON that is closed before `max_tokens` would cut it off.

Near the end of what may be generated a second matcher walks the shortest way out: it closes the string, fills
in what the schema requires, closes lists and objects. While that way is shorter than what is left the text
goes on as it was; then the way is taken.
"""

from collections.abc import Callable, Sequence
from contextlib import aclosing

from inferlet.matching import Matcher
from inferlet.model import Model
from inferlet.steps import Bursts, Pace, Plan, steps

WATCHED_TOKENS = 128
"""So many tokens before the end the way out is looked for, or at half of a shorter text."""
SPARE = 16
"""Tokens that may remain unused: what comes next can make the way longer."""
IN_STRING = "a"
IN_ORDER = {True: '"a', False: '}]",:0tfn123456789-'}
"""What is tried first inside of strings and elsewhere; the others follow ..."""
LAST = "{[\\ \n\t\r"
"""... and at the very end what opens something, or is space."""


async def closed_in_time(plan: Plan, matcher: Matcher, pace: Pace, closes: Callable[[], None]) -> Bursts:
    """The steps of a plan, as far as there is time; then the way out, announced with `closes`."""
    kept = min(WATCHED_TOKENS, plan.left() // 2)
    while True:
        async with aclosing(steps(plan._replace(left=less(plan.left, kept)), pace)) as bursts:
            while plan.left() > kept:
                yield await anext(bursts)
        way = await way_out(matcher, plan.text.model, plan.stop, plan.left()) if kept else []
        spare = plan.left() - len(way)
        if way and spare <= SPARE:
            closes()
            yield way
            return
        kept = len(way) + spare * 3 // 4 if way else 0


def less(left: Callable[[], int], kept: int) -> Callable[[], int]:
    """As many fewer."""
    return lambda: left() - kept


async def way_out(matcher: Matcher, model: Model, stop: Sequence[int], most: int) -> list[int]:
    """Tokens that end the text, with a stop token; none where it takes more than `most`."""
    twin, found = matcher.fork(), list[int]()
    try:
        while len(found) < most:
            state = await twin.state()
            mask = b"" if state.forced and not state.accepting else await twin.mask()
            ends = [token for token in stop if state.accepting and allows(mask, token)]
            if ends:
                return [*found, ends[0]]
            tokens = state.forced or [closer(mask, model)]
            twin.advance(*tokens)
            found += tokens
    finally:
        twin.close()
    return []


def allows(mask: bytes, token: int) -> bool:
    """Whether a token's bit is set."""
    return token < 8 * len(mask) and bool(mask[token >> 3] >> (token & 7) & 1)


def closer(mask: bytes, model: Model) -> int:
    """The allowed token that seems to end things soonest."""
    inside = any(allows(mask, token) for token in single(model, IN_STRING))
    for token in single(model, IN_ORDER[inside]):
        if allows(mask, token):
            return token
    last = single(model, LAST)
    bits = ((index, bit) for index, byte in enumerate(mask) if byte for bit in range(8) if byte >> bit & 1)
    return next((8 * index + bit for index, bit in bits if 8 * index + bit not in last), last[0])


def single(model: Model, letters: str) -> list[int]:
    """The tokens of single letters, as far as there are such."""
    tokens = (model.tokenize(letter) for letter in letters)
    return [each[0] for each in tokens if len(each) == 1]
