"""Uploaded components: what is refused and why, and that any that fits the world runs."""

import hashlib
from pathlib import Path

import pytest
import wasmtime
from sandbox import Sandbox, shared_home

from pie.core.errors import BadProgram, NotFound
from pie.core.events import Failed, Finished, Log, Message
from pie.core.programs import Component, Launch

pytestmark = pytest.mark.wasm

RUN_LIFTED = """
(func (export "run") (result (result string (error string)))
  (canon lift (core func $i "run") (memory (core memory $i "memory")) (realloc (core func $i "realloc"))))
"""
MODULE = r"""
(core module $m
  (memory (export "memory") 1)
  (data (i32.const 0) "\00\00\00\00\10\00\00\00\05\00\00\00")
  (data (i32.const 16) "hello")
  (func (export "realloc") (param i32 i32 i32 i32) (result i32) i32.const 4096)
  (func (export "run") (result i32) (;body;) i32.const 0))
(core instance $i (instantiate $m))
"""
"""Returns `ok("hello")`."""


def component(text: str) -> bytes:
    return bytes(wasmtime.wat2wasm(text))


def runs(imports: str = "", body: str = "") -> bytes:
    """A component that fits the world, but for what it imports."""
    return component(f"(component {imports} {MODULE.replace('(;body;)', body)} {RUN_LIFTED})")


def importing(name: str, exports: str = "") -> bytes:
    return runs(f'(import "{name}" (instance {exports}))')


RUNTIME = "pie:inferlet/runtime@0.1.0"


async def test_a_component_in_any_language_runs(sandbox: Sandbox) -> None:
    digest = await sandbox.application.add_component(runs())
    assert digest == hashlib.sha256(runs()).hexdigest()
    assert await sandbox.application.launch(Launch(Component(digest))).wait() == Finished("hello")


async def test_uploading_again_changes_nothing(sandbox: Sandbox) -> None:
    first = await sandbox.application.add_component(runs())
    assert await sandbox.application.add_component(runs()) == first


async def test_a_trap_ends_the_component_with_its_cause(sandbox: Sandbox) -> None:
    digest = await sandbox.application.add_component(runs(body="unreachable"))
    failed = await sandbox.application.launch(Launch(Component(digest))).wait()
    assert isinstance(failed, Failed)
    assert "aborted" in failed.message


async def test_an_endless_component_is_stopped_by_its_budget_too(sandbox: Sandbox) -> None:
    digest = await sandbox.application.add_component(runs(body="(loop br 0)"))
    instance = sandbox.application.launch(Launch(Component(digest)))
    assert await sandbox.result("def main():\n    return 1") == "1"
    instance.cancel()


@pytest.mark.parametrize(
    ("wasm", "why"),
    [
        (b"", "not a WebAssembly component"),
        (b"rubbish", "not a WebAssembly component"),
        (component("(module)"), "core WebAssembly module"),
        (component("(component)"), "must export `run"),
        (runs()[:-20], "cannot be compiled|no component"),
        (importing("wasi:http/types@0.2.0"), "wasi:http/types@0.2.0"),
        (importing("wasi:cli/stdin@0.3.0"), "wasi:cli/stdin@0.3.0"),
        (runs('(import "evil" (func))'), "`evil`"),
        (importing(RUNTIME, '(export "hack" (func))'), "pie:inferlet/runtime#hack"),
        (importing(RUNTIME, '(export "now" (func (result string)))'), "build it against this server's wit/"),
    ],
    ids=[
        "nothing",
        "rubbish",
        "a module",
        "without run",
        "cut off",
        "an interface we lack",
        "another WASI",
        "a function at the root",
        "unknown function",
        "wrong type",
    ],
)
async def test_what_does_not_fit_is_refused_with_the_reason(sandbox: Sandbox, wasm: bytes, why: str) -> None:
    with pytest.raises(BadProgram, match=why):
        await sandbox.application.add_component(wasm)


async def test_a_program_that_was_never_uploaded_is_not_found(sandbox: Sandbox) -> None:
    with pytest.raises(NotFound, match="upload it"):
        sandbox.application.launch(Launch(Component("0" * 64)))


def newest_runner() -> Path:
    return max((shared_home() / "guests").glob("*.wasm"), key=lambda path: path.stat().st_mtime)


async def test_the_runner_itself_is_a_component_that_can_be_uploaded(sandbox: Sandbox) -> None:
    digest = await sandbox.application.add_component(newest_runner().read_bytes())
    events = [event async for event in sandbox.application.launch(Launch(Component(digest))).events()]
    assert isinstance(events[-1], Finished)
    assert not [event for event in events if isinstance(event, Message | Log)]
