"""JSON that is closed before `max_tokens` would cut it off.

Near the end of what may be generated (as near as the schema's shortest text allows) a second matcher walks
the shortest way out: it closes the string, fills in what the schema requires, closes lists and objects. While
that way is shorter than what is left the text goes on as it was; then the way is taken.
"""

import json
from collections.abc import Callable, Sequence
from contextlib import aclosing

from inferlet.matching import Matcher
from inferlet.model import Model
from inferlet.shortest import Lengths
from inferlet.steps import Bursts, Pace, Plan, steps

SPARE = 16
"""Tokens that may remain unused: what comes next can make the way longer."""
IN_STRING = "a"
IN_ORDER = {True: '"a', False: '}]",:0tfn123456789-'}
"""What is tried first inside of strings and elsewhere; the others follow ..."""
LAST = "{[\\ \n\t\r"
"""... and at the very end what opens something, or is space."""


def watched_tokens(grammar: object, most: int) -> int:
    """So many tokens before the end of at most `most` the way out of a grammar is looked for; 0 for one whose
    way out is not known, or is too long."""
    if getattr(grammar, "kind", "") != "json-schema":
        return 0
    try:
        schema = json.loads(getattr(grammar, "source", ""))
        least = Lengths(schema).of(schema)
    except (ValueError, TypeError, AttributeError, RecursionError):
        return 0  # no schema: compiling it will say so
    return min(least + 2 * SPARE, most // 2) if least < most else 0


async def closed_in_time(
    plan: Plan, matcher: Matcher, kept: int, pace: Pace, closes: Callable[[], None]
) -> Bursts:
    """The steps of a plan until `kept` tokens are left, and as far as there is time; then the way out,
    announced with `closes`."""
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
        kept = len(way) + spare * 3 // 4 if way else plan.left() // 2


def less(left: Callable[[], int], kept: int) -> Callable[[], int]:
    """As many fewer."""
    return lambda: left() - kept


async def way_out(matcher: Matcher, model: Model, stop: Sequence[int], most: int) -> list[int]:
    """Tokens that end the text, with a stop token; none where it takes more than `most`."""
    twin, found = matcher.fork(), list[int]()
    try:
        while len(found) < most:
            state, mask = await twin.look()
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
