"""Programs from source text: what they say, what they give back, what their authors read when they fail."""

import asyncio

import pytest
from sandbox import Sandbox, logged, message

from pie.core.errors import NotFound, WrongState
from pie.core.events import Blob, Finished, Log, Message, Started
from pie.core.programs import Launch, Source, Standard

pytestmark = pytest.mark.wasm


async def test_events_come_in_order_and_end_with_the_result(sandbox: Sandbox) -> None:
    text = (
        "from inferlet import send, send_blob\n"
        "def main():\n"
        "    send('a')\n"
        "    print('b')\n"
        "    send_blob(b'c')\n"
        "    return 'd'"
    )
    instance = sandbox.launch(text)
    events = [event async for event in instance.events()]
    assert events == [Started(instance.id), Message("a"), Log("stdout", "b\n"), Blob(b"c"), Finished("d")]
    assert instance.state == "finished"


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("def main():\n    return 'text'", "text"),
        ("def main():\n    pass", ""),
        ("def main():\n    return {'n': [1, None]}", '{"n": [1, null]}'),
        ("async def main():\n    return 7", "7"),
        ("import asyncio\nawait asyncio.sleep(0)\nx = 1", ""),
    ],
)
async def test_what_main_returns_is_the_result(sandbox: Sandbox, text: str, result: str) -> None:
    assert await sandbox.result(text) == result


async def test_options_come_from_the_signature_of_main(sandbox: Sandbox) -> None:
    text = "def main(name: str, times: int = 2):\n    return name * times"
    assert await sandbox.result(text, "--name", "ab") == "abab"
    assert await sandbox.result(text, "--name", "ab", "--times", "1") == "ab"
    assert "--times" in await sandbox.result(text, "--help")
    assert "--nmae" in (await sandbox.failure(text, "--name", "x", "--nmae", "x")).message


async def test_messages_reach_the_program_in_order_while_it_runs(sandbox: Sandbox) -> None:
    text = (
        "from inferlet import receive, send\n"
        "async def main():\n"
        "    while (said := await receive()) != 'stop':\n"
        "        send(said.upper())\n"
        "    return 'stopped'"
    )
    instance = sandbox.launch(text)
    for said in ("one", "two", "stop"):
        instance.post(said)
    events = [event async for event in instance.events()]
    assert events[1:] == [Message("ONE"), Message("TWO"), Finished("stopped")]
    with pytest.raises(WrongState, match="finished"):
        instance.post("late")


async def test_a_function_can_be_called_with_json_arguments(sandbox: Sandbox) -> None:
    source = Source("async def add(a, b=1):\n    return [a, b]", entry="add")
    instance = sandbox.application.launch(Launch(source, ('{"args": [3], "kwargs": {"b": 4}}',)))
    assert await instance.wait() == Finished("[3, 4]")


async def test_a_traceback_names_the_line_of_the_users_own_file(sandbox: Sandbox) -> None:
    source = Source("def main():\n    return 1 / 0", filename="deep/tool.py", first_line=41)
    failed = await sandbox.application.launch(Launch(source)).wait()
    assert not isinstance(failed, Finished)
    assert failed.reason == "error"
    assert failed.message == "deep/tool.py, line 42: ZeroDivisionError: division by zero"
    assert "return 1 / 0" in failed.traceback
    assert "runner" not in failed.traceback


async def test_a_syntax_error_names_its_line_and_shows_it(sandbox: Sandbox) -> None:
    failed = await sandbox.failure("def main():\n    x = = 1\n")
    assert failed.message.startswith("mine.py, line 2: SyntaxError")
    assert "^" in failed.traceback


async def test_a_missing_module_is_explained(sandbox: Sandbox) -> None:
    failed = await sandbox.failure("def main():\n    import requests")
    assert failed.message.startswith("mine.py, line 2: ModuleNotFoundError: No module named 'requests'")
    assert "standard library" in failed.message


async def test_the_standard_library_can_be_imported_while_the_program_runs(sandbox: Sandbox) -> None:
    names = [
        "json",
        "re",
        "math",
        "random",
        "datetime",
        "dataclasses",
        "collections.abc",
        "itertools",
        "functools",
        "statistics",
        "decimal",
        "fractions",
        "hashlib",
        "base64",
        "csv",
        "html.parser",
        "xml.etree.ElementTree",
        "urllib.parse",
        "textwrap",
        "difflib",
        "string",
        "enum",
        "typing",
        "heapq",
        "bisect",
        "uuid",
        "zlib",
        "logging",
        "unittest.mock",
        "contextlib",
        "copy",
        "pprint",
        "struct",
        "array",
        "io",
        "operator",
        "time",
        "email.message",
        "configparser",
        "tomllib",
        "graphlib",
        "secrets",
        "ast",
        "inspect",
        "traceback",
    ]
    text = f"import importlib\ndef main():\n    for name in {names!r}:\n        importlib.import_module(name)"
    assert await sandbox.result(text) == ""


async def test_programs_do_not_share_random_numbers_or_globals(sandbox: Sandbox) -> None:
    text = (
        "import random, json\n"
        "json.seen = getattr(json, 'seen', 0) + 1\n"
        "def main():\n"
        "    return f'{json.seen} {random.random()}'"
    )
    results = await asyncio.gather(*(sandbox.result(text) for _ in range(4)))
    assert {result.split()[0] for result in results} == {"1"}
    assert len({result.split()[1] for result in results}) == 4


async def test_prints_without_a_newline_reach_the_log_at_the_end(sandbox: Sandbox) -> None:
    text = "import sys\ndef main():\n    print('a', end='')\n    sys.stderr.write('b')"
    assert logged(await sandbox.events(text)) == "ab"


async def test_many_programs_at_once_get_the_result_they_get_alone(sandbox: Sandbox) -> None:
    text = (
        "from inferlet import Context\n"
        "async def main(n: int):\n"
        "    with Context() as context:\n"
        "        context.fill('program ' + str(n))\n"
        "        return await context.generate(4)"
    )
    alone = [await sandbox.result(text, "--n", str(n)) for n in range(3)]
    together = await asyncio.gather(*(sandbox.result(text, "--n", str(n % 3)) for n in range(12)))
    assert together == alone * 4


async def test_standard_inferlets_are_found_by_name(sandbox: Sandbox) -> None:
    assert {"hello", "text-completion"} <= set(sandbox.application.standard())
    ended = await sandbox.application.launch(Launch(Standard("hello"))).wait()
    assert isinstance(ended, Finished)
    with pytest.raises(NotFound, match="text-completion"):
        sandbox.application.launch(Launch(Standard("hallo")))


async def test_an_instance_can_be_looked_at_while_it_runs_and_afterwards(sandbox: Sandbox) -> None:
    text = "from inferlet import receive, send\nasync def main():\n    send('up')\n    await receive()"
    instance = sandbox.launch(text)
    assert await message(instance) == "up"
    assert sandbox.application.instance(instance.id).state == "running"
    assert instance.usage().host_calls > 0
    instance.post("end")
    await instance.wait()
    assert sandbox.application.instances() == [instance]
    assert instance.usage().bytes_out == 2
    with pytest.raises(NotFound, match="nobody"):
        sandbox.application.instance("nobody")


async def test_sleeping_in_any_way_lets_others_run(sandbox: Sandbox) -> None:
    text = "import time\nfrom inferlet import send\ndef main():\n    send('a')\n    time.sleep(3600)"
    sleeper = sandbox.launch(text)
    await message(sleeper)
    short = "import asyncio\nasync def main():\n    await asyncio.sleep(0.001)\n    return 'x'"
    assert await sandbox.result(short) == "x"
    sleeper.cancel()
