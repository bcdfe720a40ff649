"""The README's program works as it stands, and its links lead somewhere."""

import re
from pathlib import Path

from inferlet.testing import SourceText, run

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


def test_the_program_runs() -> None:
    program = re.search(r"^```python\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)
    assert program is not None
    assert run(SourceText(program[1]), ["--branches", "2"]).text.count("\n") >= 2


def test_every_link_leads_to_something() -> None:
    links = re.findall(r"\]\(([^)#]+)\)", README)
    assert [link for link in links if not (ROOT / link).exists()] == []
