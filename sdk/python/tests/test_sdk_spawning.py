"""`inferlet.spawning` on the fake: children run when they are waited for."""

import pytest

from inferlet.runner import ProgramFailed
from inferlet.testing import SourceText, run

COUNT = """
from inferlet import send
from inferlet.spawning import spawn

def count(text, times=1):
    return len(text.split()) * times

async def stream(n: int):
    for i in range(n):
        send(str(i))
    return {"sent": n}
"""


def test_a_function_is_spawned_with_values_and_gives_one() -> None:
    text = COUNT + (
        "async def main():\n"
        "    first, second = spawn(count, 'to be'), spawn(count, 'or not', times=10)\n"
        "    return await first + await second\n"
    )
    assert run(SourceText(text)).result == "22"


def test_messages_of_a_child_are_a_loop_that_ends_with_it() -> None:
    text = COUNT + (
        "async def main():\n"
        "    child = spawn(stream, 3)\n"
        "    return [text async for text in child] + [await child]\n"
    )
    assert run(SourceText(text)).result == '["0", "1", "2", {"sent": 3}]'


def test_names_and_texts_are_launched_with_options() -> None:
    text = (
        "from inferlet.spawning import myself, spawn\n"
        "async def main(depth: int = 0, loud: bool = False):\n"
        "    if depth: return f'{depth} {loud}'\n"
        "    source = 'def main(name: str):\\n    return name * 2'\n"
        "    return await spawn(source, name='ab') + await spawn(myself, depth=2, loud=True)\n"
    )
    assert run(SourceText(text)).result == "abab2 True"


def test_what_is_no_function_of_the_program_cannot_be_spawned() -> None:
    for what in ("lambda: 1", "len", "helper()"):
        text = (
            "from inferlet.spawning import spawn\n"
            "def helper():\n"
            "    def inner(): pass\n"
            "    return inner\n"
            f"async def main():\n    spawn({what})\n"
        )
        with pytest.raises(ProgramFailed, match="top of this program"):
            run(SourceText(text))


def test_arguments_that_json_cannot_carry_are_named() -> None:
    with pytest.raises(ProgramFailed, match="an argument for count cannot be carried by JSON"):
        run(SourceText(COUNT + "async def main():\n    spawn(count, {1, 2})\n"))


def test_a_failed_child_is_an_exception_with_its_words() -> None:
    text = (
        "from inferlet.spawning import spawn\n"
        "def bad():\n"
        "    raise ValueError('too bad')\n"
        "async def main():\n"
        "    await spawn(bad)\n"
    )
    with pytest.raises(ProgramFailed, match=r"(?s)ChildFailed.*ValueError: too bad"):
        run(SourceText(text))


def test_children_talk_with_their_parent() -> None:
    text = (
        "from inferlet import receive, receive_blob, send_blob\n"
        "from inferlet.spawning import spawn\n"
        "async def echo():\n"
        "    send_blob(await receive_blob())\n"
        "    return await receive()\n"
        "async def main():\n"
        "    child = spawn(echo)\n"
        "    child.send(b'bytes')\n"
        "    child.send('text')\n"
        "    return (await child.receive_blob()).decode() + await child\n"
    )
    assert run(SourceText(text)).result == "bytestext"
