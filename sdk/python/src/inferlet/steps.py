"""The ways to get the next tokens. Each is an async generator of bursts: decoded ahead of the program, one by
one, or guessed and checked. Which one it is changes what tokens cost, never which tokens they are.

A generator goes on when its burst has been taken into the text, and looks at the text anew.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from itertools import chain, repeat
from typing import NamedTuple

from inferlet.dist import Dist
from inferlet.errors import InvalidArgument
from inferlet.matching import Matcher
from inferlet.sampling import KEPT_TOKENS, PickToken, Sampler
from inferlet.speculation import Speculator
from inferlet.transcript import Transcript

Bursts = AsyncGenerator[list[int], None]

RUN_TOKENS = 256
"""Most tokens of a run ahead. It names pages for all of them, which take no memory until they are written;
between two runs a program misses a pass."""


class Run(NamedTuple):
    """How far the server decodes by itself, and how many tokens wake the program."""

    tokens: int
    chunk: int


Pace = tuple[Run, ...]
"""The runs of a generation; the last one again and again."""

WHOLE: Pace = (Run(RUN_TOKENS, RUN_TOKENS),)
"""Nobody looks at the tokens before the end."""
WATCHED: Pace = (Run(RUN_TOKENS, 4),)
"""Each token may be the last one: what comes after it was computed for nothing."""
STREAMED: Pace = (Run(4, 1), Run(RUN_TOKENS, 1))
"""Each token when it is there: whoever reads along sees no gaps. The first run is short, for a program that
looks at the beginning and stops."""


class Plan(NamedTuple):
    """What the steps of one generation need to know."""

    text: Transcript
    pick: PickToken
    stop: Sequence[int]
    """Tokens that end it."""
    found: list[int]
    """Tokens of this generation."""
    left: Callable[[], int]
    """How many more there may be."""
    speculate: Speculator | None
    matcher: Matcher | None

    @property
    def kept_tokens(self) -> int:
        """How many of the best tokens the pick looks at."""
        kept: int = getattr(self.pick, "kept_tokens", KEPT_TOKENS)
        return kept

    def picked(self, dist: Dist) -> int:
        """The token picked from a distribution that is there. The matcher moves on by it."""
        dist.seen = self.found
        token = self.pick(dist)
        size = self.text.model.vocabulary_size
        if type(token) is not int or not 0 <= token < size:
            raise InvalidArgument(f"a sampler returns a token from 0 to {size - 1}, not {token!r}")
        if self.matcher is not None:
            self.matcher.advance(token)
        return token


def steps(plan: Plan, pace: Pace) -> Bursts:
    """The cheapest way that does what the plan says."""
    if plan.speculate is not None:
        return checked_guesses(plan, plan.speculate)
    if isinstance(plan.pick, Sampler):
        return ahead(plan, plan.pick, pace)
    return one_by_one(plan)


async def one_by_one(plan: Plan) -> Bursts:
    """A distribution, a pick, and so on."""
    matcher = None if plan.matcher is None else plan.matcher.id
    while True:
        yield [plan.picked(await plan.text.dist(plan.kept_tokens, [], matcher))]


async def ahead(plan: Plan, sampler: Sampler, pace: Pace) -> Bursts:
    """Runs that the server decodes by itself, ahead of the program."""
    text, matcher = plan.text, None if plan.matcher is None else plan.matcher.id
    for size, chunk in chain(pace, repeat(pace[-1])):
        count = min(size, plan.left())
        run = await text.begin_run(sampler.spec(plan.found), count, plan.stop, chunk, matcher)
        try:
            while text.cache.run is run and not run.over and len(text.tokens) == run.start + len(run.found):
                yield await text.more_of(run)
        finally:
            text.end_run(run)


async def checked_guesses(plan: Plan, speculate: Speculator) -> Bursts:
    """A guess is read in one forward; then as many tokens are picked as it was right, and one more."""
    text = plan.text
    try:
        while True:
            guess = speculate(text.tokens)
            draft = list(await guess if isinstance(guess, Awaitable) else guess)[: plan.left() - 1]
            ask = await _questions(plan, draft)
            for index in range(len(draft) + 1):
                token = plan.picked(await text.wait(ask(index)))
                yield [token]
                if index == len(draft) or token != draft[index]:
                    break
                text.confirm()
    finally:
        text.end_guesses()


async def _questions(plan: Plan, draft: Sequence[int]) -> Callable[[int], Dist]:
    """Gives the distribution after so many tokens of the draft. Without a grammar all are asked for at once;
    what a grammar allows is only known when the tokens before have been picked."""
    text, kept, matcher = plan.text, plan.kept_tokens, plan.matcher
    outputs = await text.read_ahead(draft)
    if matcher is not None:
        return lambda index: text.ask(outputs[index], 0, kept, [], matcher.id)
    dists = [text.ask(output, index, kept, []) for index, output in enumerate(outputs)]
    return dists.__getitem__
