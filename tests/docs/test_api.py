"""The pages `docs/api/` against the contract and the library."""

import re
from pathlib import Path

import pytest

from inferlet import raw
from inferlet.testing import SourceText, run

ROOT = Path(__file__).parents[2]
PAGES = ROOT / "docs" / "api"
TEXTS = {page.name: page.read_text() for page in sorted(PAGES.glob("*.md"))}
PYTHON = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)
WIT = re.sub(r"///.*", "", (ROOT / "wit" / "pie.wit").read_text())
INTERFACES = {
    found[1]: re.findall(r"^  ([\w-]+): func", found[2], re.MULTILINE)
    for found in re.finditer(r"interface ([\w-]+) \{(.*?)\n\}", WIT, re.DOTALL)
}
PAGE_OF = {"futures": "core-runtime", "runtime": "core-runtime"}
CALLS = [
    (PAGE_OF.get(interface, interface), call)
    for interface, calls in INTERFACES.items()
    for call in calls
    if interface != "source"
]
EXAMPLES = [
    pytest.param(text, id=f"{name}-{number}")
    for name, page in TEXTS.items()
    for number, text in enumerate(PYTHON.findall(page))
]


@pytest.mark.parametrize(("page", "call"), CALLS)
def test_every_call_is_explained_on_the_page_of_its_trait(page: str, call: str) -> None:
    assert re.search(rf"`{call}[`(]|`{call.replace('-', '_')}[`(]", TEXTS[f"{page}.md"])


@pytest.mark.parametrize("call", raw.__all__)
def test_every_raw_call_is_on_some_page(call: str) -> None:
    assert any(re.search(rf"`{call}[`(]", page) for page in TEXTS.values())


@pytest.mark.parametrize("text", EXAMPLES)
def test_every_example_runs(text: str) -> None:
    run(SourceText(text))


def test_the_index_names_every_page() -> None:
    others = set(TEXTS) - {"README.md"}
    assert [name for name in others if f"({name})" not in TEXTS["README.md"]] == []
