"""`@inferlet`: what of a user's file travels, what is refused, and where errors point."""

import asyncio
import json
import linecache
import textwrap
from pathlib import Path
from typing import Any

import pytest

from pie.client import AsyncClient, CannotSend, Client, Inferlet, ProgramFailed, inferlet
from pie.core.events import Failed
from pie.core.programs import Source
from pie.testing.scripted import ScriptedInstance
from pie.testing.serving import serve_scripts

HEADER = "from pie.client import inferlet\n"


class UserFile:
    """A file as a user would write it, imported."""

    def __init__(self, path: Path, text: str) -> None:
        self.path = path
        self.lines = text.splitlines()
        path.write_text(text, encoding="utf-8")
        self.names: dict[str, Any] = {"__name__": "user_file"}
        exec(compile(text, str(path), "exec"), self.names)

    def line_of(self, fragment: str) -> int:
        return next(number for number, line in enumerate(self.lines, 1) if fragment in line)


@pytest.fixture
def write(tmp_path: Path) -> Any:
    def write(text: str, header: str = HEADER) -> UserFile:
        linecache.clearcache()
        return UserFile(tmp_path / "user.py", header + textwrap.dedent(text))

    return write


def execute(source: Source, *args: Any, **kwargs: Any) -> Any:
    """As the runner does it: the text stands at its line of the user's file, and nothing else exists."""
    names: dict[str, Any] = {}
    text = "\n" * (source.first_line - 1) + source.text
    exec(compile(text, source.filename, "exec"), names)
    return names[source.entry or ""](*args, **kwargs)


def test_a_function_travels_with_the_imports_helpers_and_values_it_names(write: Any) -> None:
    user = write(
        """
        import math, sys
        from collections import (
            Counter,
            deque as queue,
        )

        LIMITS = {"low": [1, 2.5], "none": None}
        UNUSED = object()


        def helper(x):
            return math.floor(x) + len(LIMITS["low"])


        @inferlet
        def count(words, factor=2):
            '''Text
          at the margin.'''
            numbers = [helper(factor) for _ in range(1)]
            return Counter(words).most_common(1)[0], queue([1]).pop(), numbers
        """
    )
    source = user.names["count"].source()
    assert source.entry == "count"
    assert source.filename == str(user.path)
    assert execute(source, ["a", "b", "a"]) == (("a", 2), 1, [4])
    assert "sys" not in source.text
    assert "UNUSED" not in source.text


def test_every_line_of_a_function_stays_on_its_line(write: Any) -> None:
    user = write(
        """
        import json

        def helper():
            return json.dumps(1)

        # a comment


        @inferlet
        async def main(
            n: int,
        ) -> str:
            return helper()
        """
    )
    source = user.names["main"].source()
    for number, line in enumerate(source.text.splitlines(), source.first_line):
        assert line in ("", user.lines[number - 1])
    assert source.text.splitlines()[user.line_of("async def") - source.first_line] == "async def main("


def test_values_travel_as_they_are_at_the_time_of_the_call(write: Any) -> None:
    user = write(
        """
        LEVEL = 1

        @inferlet
        def level():
            return LEVEL
        """
    )
    user.names["LEVEL"] = 7
    assert execute(user.names["level"].source()) == 7


def test_an_indented_function_travels_as_it_stands(write: Any) -> None:
    user = write(
        """
        import math
        if True:
            @inferlet
            def inner():
                text = '''
        at the margin'''
                return text, math.pi > 3

        def outer():
            def plain():
                return 2
            return plain
        """
    )
    assert execute(user.names["inner"].source()) == ("\nat the margin", True)
    assert execute(Inferlet(user.names["outer"]()).source()) == 2


def test_an_import_right_above_an_indented_function_makes_room(write: Any) -> None:
    user = write(
        """
        if True:
            import math
            def inner():
                return math.pi > 3
        """
    )
    source = Inferlet(user.names["inner"]).source()
    assert execute(source) is True


def test_default_values_and_nested_scopes_find_their_names(write: Any) -> None:
    user = write(
        """
        import string
        SIZE = 3

        @inferlet
        def main(n=SIZE, *, alphabet=string.digits):
            class Box:
                size = n
                twice = size * 2
            return Box.twice, [c for c in alphabet][:n], (lambda: SIZE)()
        """
    )
    assert execute(user.names["main"].source()) == (6, ["0", "1", "2"], 3)


def test_annotations_need_nothing_and_take_along_what_they_can(write: Any) -> None:
    user = write(
        """
        import httpx
        from collections.abc import Sequence

        @inferlet
        def main(names: Sequence[str], client: "httpx.Client | None" = None) -> int:
            return len(names)
        """
    )
    source = user.names["main"].source()
    assert "Sequence" in source.text.splitlines()[0]
    assert execute(source, ["a"]) == 1


def test_what_a_decorator_made_of_a_helper_is_not_mistaken_for_the_helper(write: Any) -> None:
    user = write(
        """
        import functools

        def twice(function):
            @functools.wraps(function)
            def both():
                return function() * 2
            return both

        @twice
        def helper():
            return 1

        @inferlet
        def plain():
            return 1

        @inferlet
        def main():
            return plain() + helper()
        """
    )
    with pytest.raises(CannotSend, match="'helper' is a function from elsewhere"):
        user.names["main"].source()


def test_recursion_and_mutual_recursion_end(write: Any) -> None:
    user = write(
        """
        def even(n):
            return n == 0 or odd(n - 1)

        def odd(n):
            return n != 0 and even(n - 1)

        @inferlet
        def fact(n):
            return 1 if n == 0 else n * fact(n - 1) if even(2) else 0
        """
    )
    assert execute(user.names["fact"].source(), 4) == 24


def test_what_cannot_be_carried_is_listed_with_its_lines(write: Any) -> None:
    user = write(
        """
        import httpx
        import threading
        LOCK = threading.Lock()
        KEYS = {1: 2}

        class Thing: ...

        @inferlet
        def main():
            global COUNT
            COUNT = 1
            httpx.get("x")
            with LOCK:
                return Thing(), KEYS, undefined
        """
    )
    with pytest.raises(CannotSend) as error:
        user.names["main"].source()
    text = str(error.value)
    assert f"line {user.line_of('COUNT = 1')}: assigns the global 'COUNT'" in text
    assert f"line {user.line_of('httpx.get')}: 'httpx' is the module httpx, which the sandbox" in text
    assert f"line {user.line_of('with LOCK')}: 'LOCK' is a lock" in text
    last = user.line_of("return Thing")
    assert f"line {last}: 'Thing' is the class Thing" in text
    assert f"line {last}: 'KEYS' is a dict" in text
    assert f"line {last}: 'undefined' is not defined" in text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sent = inferlet(lambda: 1)", "a lambda cannot be sent"),
        ("sent = inferlet(print)", "only plain functions"),
        ("sent = inferlet(7)", "only plain functions"),
        ("class A:\n    @inferlet\n    def f(self): ...", "A.f is a method"),
        ("class A:\n    def f(self): ...\nsent = inferlet(A().f)", "only plain functions"),
        ("@inferlet\nclass A: ...", "only plain functions"),
        ("@inferlet\ndef f():\n    yield 1", "is a generator"),
        ("@inferlet\nasync def f():\n    yield 1", "is a generator"),
        ("def g(x):\n    @inferlet\n    def f():\n        return x\ng(1)", "uses x of the function around"),
        ("import functools\n@inferlet\n@functools.cache\ndef f(): ...", "only plain functions"),
        ("@inferlet\n@(lambda f: f)\ndef f(): ...", "another decorator on line"),
    ],
)
def test_what_can_never_travel_is_refused_at_decoration(write: Any, text: str, message: str) -> None:
    with pytest.raises(CannotSend, match=message):
        write(text)


def test_a_function_typed_at_a_prompt_has_no_source() -> None:
    names: dict[str, Any] = {}
    exec("def typed(): ...", names)
    with pytest.raises(CannotSend, match="typed at a prompt"):
        inferlet(names["typed"])


def test_a_file_that_changed_since_it_was_imported_is_noticed(write: Any) -> None:
    user = write("@inferlet\ndef f():\n    return 1\n")
    user.path.write_text("# nothing any more\n", encoding="utf-8")
    with pytest.raises(CannotSend, match="has the file changed"):
        user.names["f"].source()


def test_the_decorator_is_known_under_other_names(write: Any) -> None:
    user = write(
        """
        import pie.client
        from pie.client import inferlet as remote

        @remote
        def one(): return 1

        @pie.client.inferlet
        def two(): return 2
        """
    )
    assert execute(user.names["one"].source()) == 1
    assert execute(user.names["two"].source()) == 2


@inferlet
def add(a: int, b: int = 1) -> int:
    """Adds."""
    return a + b


def test_the_function_keeps_its_name_and_docstring() -> None:
    assert (add.__name__, add.__doc__) == ("add", "Adds.")
    assert inferlet(add) is add


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({1}, "argument a is of type set"),
        ([1, (2, b"x")], r"argument a\[1\]\[1\] is of type bytes"),
        ({"k": {2: 3}}, r"argument a\['k'\] has the key 2"),
        (float("nan"), "argument a is nan, which JSON cannot say"),
        (object(), "argument a is of type object"),
    ],
)
def test_arguments_that_are_not_json_are_named(value: Any, message: str) -> None:
    with pytest.raises(CannotSend, match=message):
        add.arguments(value)


def test_a_wrong_call_is_the_type_error_of_any_call() -> None:
    with pytest.raises(TypeError, match="missing a required argument: 'a'"):
        add.arguments()
    with pytest.raises(TypeError, match="unexpected keyword argument 'c'"):
        add.arguments(1, c=2)


async def run_source(program: ScriptedInstance) -> str:
    """What the runner guest does with a function, without the sandbox."""
    source = program.launch.program
    assert isinstance(source, Source)
    given = json.loads(program.launch.args[0])
    result = execute(source, *given["args"], **given["kwargs"])
    return json.dumps(await result if asyncio.iscoroutine(result) else result)


@inferlet
async def describe(value: Any, times: int = 1) -> dict[str, Any]:
    return {"value": value, "times": times}


async def test_arguments_and_results_travel_as_json_with_every_kind_of_client() -> None:
    async with serve_scripts({"source": run_source}) as served:
        expected = {"value": ["ü", None, 1.5], "times": 2}

        def use_sync() -> None:
            with Client(served.url) as client:
                assert client.run(describe, ("ü", None, 1.5), times=2) == expected
                assert describe.run(client, ["ü", None, 1.5], times=2) == expected
                assert describe.launch(client, ["ü", None, 1.5], 2).result() == expected

        await asyncio.to_thread(use_sync)
        async with AsyncClient(served.url) as client:
            assert await describe.run(client, ["ü", None, 1.5], times=2) == expected
            assert await (await describe.launch(client, ["ü", None, 1.5], times=2)).result() == expected
            assert await client.run(describe.plain, ["ü", None, 1.5], times=2) == expected


async def test_calling_it_runs_it_on_the_server_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serve_scripts({"source": run_source}) as served:
        monkeypatch.setenv("PIE_SERVER", served.url)
        assert await asyncio.to_thread(add, 2, b=3) == 5


async def test_a_failure_shows_the_traceback_of_the_program() -> None:
    async def broken(program: ScriptedInstance) -> str:
        del program
        raise RuntimeError("ValueError: no")

    async with serve_scripts({"source": broken}) as served, AsyncClient(served.url) as client:
        with pytest.raises(ProgramFailed, match="Traceback"):
            await client.run(add, 1)


def test_a_failure_without_a_traceback_is_its_message_alone() -> None:
    assert str(ProgramFailed(Failed("limit", "too long"))) == "too long"
