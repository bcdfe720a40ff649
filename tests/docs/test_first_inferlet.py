"""The tutorial `docs/first-inferlet.md`, pasted block by block.

Programs run on the library's fake host; what needs a server is checked as far as it goes without one.
"""

import importlib.util
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import pytest

from inferlet.runner import ProgramFailed
from inferlet.testing import Outcome, SourceText, run
from pie.cli.new import new

PAGE = Path(__file__).parents[2] / "docs" / "first-inferlet.md"
FENCE = re.compile(r"^```(\w+) ?(\S*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


class Block(NamedTuple):
    kind: str
    file: str
    text: str


BLOCKS = [Block(*found) for found in FENCE.findall(PAGE.read_text())]


def run_program(words: list[str]) -> Outcome:
    """`pie run FILE [OPTIONS] [-- ARGS]` on the fake host."""
    args = words[words.index("--") + 1 :] if "--" in words else []
    return run(Path(words[2]), args)


def run_pasted(command: str) -> None:
    """One line of a shell block; a comment says that it is meant to fail."""
    words = shlex.split(command, comments=True)
    match words[:2]:
        case ["pie", "run"] if "# fails" in command:
            with pytest.raises(ProgramFailed, match="the context is empty"):
                run_program(words)
        case ["pie", "run"]:
            assert run_program(words).text
        case ["pie", "new"]:
            new(words[2])
        case ["cd", folder]:
            os.chdir(folder)
        case ["pytest", _]:
            subprocess.run([sys.executable, "-m", *words], check=True, capture_output=True)
        case ["pie", "serve"] | ["python", _]:
            pass  # needs a server
        case _:
            pytest.fail(f"the tutorial has a command that nobody has tested: {command}")


def test_every_block_works_when_pasted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for block in BLOCKS:
        if block.kind == "python":
            Path(block.file).write_text(block.text)
            continue
        for command in block.text.splitlines():
            run_pasted(command)


def test_the_message_about_the_wrong_program_is_the_real_one(tmp_path: Path) -> None:
    with pytest.raises(ProgramFailed) as caught:
        run(write(tmp_path, "wrong.py"))
    message = str(caught.value).partition("\n")[0]
    assert message in " ".join(PAGE.read_text().split())


def test_the_decorated_function_can_be_sent(tmp_path: Path) -> None:
    module = load(write(tmp_path, "remote.py"))
    source = module.ask.source()
    program = SourceText(source.text, source.filename, source.first_line, source.entry)
    assert run(program, [module.ask.arguments("Why?", 3)]).result == '"abc"'


def test_the_client_program_uses_what_the_client_has() -> None:
    text = next(block.text for block in BLOCKS if block.file == "client.py")
    compile(text, "client.py", "exec")
    exec(text.splitlines()[0], {})


def write(folder: Path, name: str) -> Path:
    path = folder / name
    path.write_text(next(block.text for block in BLOCKS if block.file == name))
    return path


def load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module
