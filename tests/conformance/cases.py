"""Cases of one call, marked so that `scripts/coverage.py` finds them."""

from typing import Any, NamedTuple

import pytest
from puppet import Puppet, Refused

MODEL = "fake"
QUEUE = 0
"""The scene's queue."""
PAGES, EMBS, SLOTS = range(4), range(8), range(4)
"""What the scene has allocated. Pages 0 and 1 hold 32 tokens; embedding 0 a hidden state; slot 0 a token."""
NOBODY = 99
"""An id that was never allocated."""
MANY = 1 << 16
"""The longest list that a call takes."""
LARGEST = 2**32 - 1


class Case(NamedTuple):
    call: str
    arguments: tuple[Any, ...]
    kind: str
    """Of the error."""
    words: str
    """In its message."""

    async def check(self, puppet: Puppet) -> None:
        with pytest.raises(Refused) as refused:
            await puppet.call(self.call, *self.arguments)
        assert (refused.value.kind, self.words in refused.value.message) == (self.kind, True), str(
            refused.value
        )


def wrong(call: str, *arguments: Any, kind: str = "invalid-argument", says: str) -> Any:
    """A use that is refused by the call itself."""
    return _param("wrong", Case(call, arguments, kind, says))


def limit(call: str, *arguments: Any, kind: str = "invalid-argument", says: str) -> Any:
    """One step beyond what is allowed."""
    return _param("limit", Case(call, arguments, kind, says))


def _param(use: str, case: Case) -> Any:
    return pytest.param(case, marks=pytest.mark.call(case.call, use), id=f"{case.call}: {case.words}")
