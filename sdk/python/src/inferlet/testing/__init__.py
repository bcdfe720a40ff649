"""Runs programs without a server and without WebAssembly, in milliseconds.

    from inferlet.testing import FakeHost, run, scripted

    def test_hello():
        outcome = run("inferlets/hello/hello.py")
        assert outcome.text == "..."

The fake keeps the contract's rules (ids, pages, positions, copies) and answers with a model that is a plain
function: given these tokens, these probabilities come next. Time is virtual; nothing ever sleeps.
"""

from inferlet.testing.answers import Answer, alphabet, scripted
from inferlet.testing.host import FakeHost
from inferlet.testing.pages import ErrorKind
from inferlet.testing.programs import Outcome, run
from inferlet.testing.sources import SourceText
from inferlet.testing.tenant import Tenant

__all__ = [
    "Answer", "ErrorKind", "FakeHost", "Outcome", "SourceText", "Tenant", "alphabet", "run", "scripted",
]
