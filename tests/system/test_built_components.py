"""Programs that are components: built from Python with a package inside, and written in C."""

import asyncio
import os
import shutil
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
import pytest_asyncio
from whole import Whole

from pie.application.building import Built, build, read_project
from pie.client import AsyncClient
from pie.core.events import Event, Failed, Finished, Message
from pie.core.programs import Component, Launch
from pie.core.progress import NoProgress
from pie.server import Backend, Listener, ServerSettings, Service, bind, make_app

ROOT = Path(__file__).parents[2]
C_EXAMPLE = ROOT / "examples" / "c-completion" / "build.sh"
PATH = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
PROMPT = "The capital of France is"
SCRIPT = """# /// script
# dependencies = ["humanize==4.12.3"]
# ///
import humanize
from inferlet import Context

import helper


async def main(number: int, max_tokens: int = 6):
    if number < 0:
        raise ValueError(helper.complaint(number))
    with Context() as context:
        context.fill(f"The number {humanize.intcomma(number)} is")
        return await context.generate(max_tokens)
"""
PLAIN = """from inferlet import Context


async def main(text: str, max_tokens: int = 6):
    with Context() as context:
        context.fill(text)
        return await context.generate(max_tokens)
"""


async def events(whole: Whole, digest: str, *args: str) -> list[Event]:
    instance = whole.stack.application.launch(Launch(Component(digest), args))
    return [event async for event in instance.events()]


@pytest_asyncio.fixture(scope="module", loop_scope="package")
async def built(running: Whole, tmp_path_factory: pytest.TempPathFactory) -> Built:
    """Known to the application before a test looks at what is held: its machine code stays mapped."""
    folder = tmp_path_factory.mktemp("counting")
    (folder / "main.py").write_text(SCRIPT)
    (folder / "helper.py").write_text("def complaint(n):\n    return f'{n} is too small'\n")
    made = await build(read_project(folder), running.stack.settings.home, 300, NoProgress())
    await running.stack.application.add_component(made.path.read_bytes())
    return made


async def test_a_program_built_with_a_package_runs_with_it(built: Built, whole: Whole) -> None:
    assert [(package.name, package.version) for package in built.packages] == [("humanize", "4.12.3")]
    expected = await whole.result(PLAIN, "--text", "The number 1,234,567 is")
    assert (await events(whole, built.digest, "--number", "1234567"))[-1] == Finished(expected)
    failed = (await events(whole, built.digest, "--number", "-1"))[-1]
    assert isinstance(failed, Failed)
    assert failed.message == "main.py, line 12: ValueError: -1 is too small"


async def test_it_runs_on_a_server_to_which_it_is_uploaded(built: Built, whole: Whole) -> None:
    expected = await whole.result(PLAIN, "--text", "The number 1,234,567 is")
    assert await uploaded(whole, built.path, built.path.read_bytes(), built.digest) == expected


async def uploaded(whole: Whole, path: Path, component: bytes, digest: str) -> str:
    """The component's result on a server around the same stack, by `POST /v1/programs` and by the client."""
    settings = ServerSettings(port=0)
    service = Service(settings)
    listener = Listener(make_app(service), bind(settings), settings)
    async with listener.serving(), AsyncClient(listener.url) as client:
        service.attach(Backend(whole.stack.application, whole.stack.control.models, lambda: ()))
        async with httpx.AsyncClient(base_url=listener.url) as plain:
            answer = await plain.post("/v1/programs", content=component)
        assert (answer.status_code, answer.json()) == (201, {"program": digest})
        running = await client.launch(path, "--number", "1234567")
        return str(await running.result())


def lacking() -> str:
    """Which tools for the example in C are not here."""
    missing = [tool for tool in ("clang", "wasm-ld", "wasm-tools") if shutil.which(tool, path=PATH) is None]
    libc = "" if Path("/usr/include/wasm32-wasi").exists() else "wasi-libc"
    return ", ".join([*missing, *filter(None, [libc])])


@pytest_asyncio.fixture(scope="module", loop_scope="package")
async def component_in_c(running: Whole, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Its digest."""
    if lacking():
        pytest.skip(f"to build a component in C needs {lacking()}")
    made = tmp_path_factory.mktemp("c") / "completion.wasm"
    done = await asyncio.to_thread(
        subprocess.run,
        [str(C_EXAMPLE), str(made)],
        env=os.environ | {"PATH": PATH},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return await running.stack.application.add_component(made.read_bytes())


async def test_a_component_in_c_says_what_the_raw_loop_in_python_says(
    component_in_c: str, whole: Whole
) -> None:
    python = (ROOT / "inferlets" / "raw-completion" / "raw_completion.py").read_text()
    args = ("--prompt", PROMPT, "--max-tokens", "24")
    expected = [event async for event in whole.launch(python, *args).events() if isinstance(event, Message)]
    found = await events(whole, component_in_c, *args)
    assert [event for event in found if isinstance(event, Message)] == expected
    assert found[-1] == Finished("")
    wrong = (await events(whole, component_in_c, "--prompt", ""))[-1]
    assert wrong == Failed("error", "--prompt needs a text")
