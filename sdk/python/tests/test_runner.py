"""From source text to a result, or to an error text that a user understands."""

import sys
from textwrap import dedent

import pytest

from inferlet.runner import ProgramFailed, run_program
from inferlet.testing import FakeHost, Outcome, SourceText, run


def outcome(text: str, *args: str, entry: str | None = None, first_line: int = 1) -> Outcome:
    return run(SourceText(dedent(text), "my.py", first_line, entry), args)


def failure(text: str, *args: str, entry: str | None = None, first_line: int = 1) -> str:
    with pytest.raises(ProgramFailed) as caught:
        outcome(text, *args, entry=entry, first_line=first_line)
    return str(caught.value)


@pytest.mark.parametrize(
    ("value", "result"),
    [
        ("'text'", "text"), ("None", ""), ("[1, 'ä']", '[1, "ä"]'), ("{'a': None}", '{"a": null}'),
        ("3.5", "3.5"), ("True", "true"), ("{1}", "{1}"),
    ],
)
def test_what_main_returns_becomes_text(value: str, result: str) -> None:
    assert outcome(f"def main(): return {value}").result == result


def test_main_may_be_async() -> None:
    assert outcome("async def main(): return 'done'").result == "done"


def test_a_main_that_is_not_async_may_run_its_own_loop() -> None:
    text = """
        import asyncio
        async def work():
            await asyncio.sleep(1)
            return "worked"
        def main():
            return asyncio.run(work())
    """
    assert outcome(text).result == "worked"


def test_a_script_may_await_at_its_top_level() -> None:
    text = """
        from inferlet import Context, send
        with Context() as context:
            context.fill("abc")
            send(await context.generate(3))
    """
    assert outcome(text).messages == ["def"]


def test_a_program_is_not_run_as_main_twice() -> None:
    text = """
        from inferlet import send
        def main():
            send("once")
        if __name__ == "__main__":
            main()
    """
    assert outcome(text).messages == ["once"]


def test_print_goes_to_the_log_by_lines() -> None:
    done = outcome("""
        import sys
        print('a', end='')
        print('b')
        print('c', end='')
        print('!', file=sys.stderr)
    """)
    assert done.host.logs == [("stdout", "ab\n"), ("stderr", "!\n"), ("stdout", "c")]


def test_lone_surrogates_in_print_do_no_harm() -> None:
    assert outcome("print('\\ud800')").log == "?\n"


def test_the_process_streams_are_put_back() -> None:
    before = sys.stdout, sys.stderr
    outcome("print('x')")
    assert (sys.stdout, sys.stderr) == before


def test_sys_exit_zero_is_a_good_end() -> None:
    assert outcome("import sys\nsys.exit()").result == ""


def test_sys_exit_with_a_text_is_a_failure() -> None:
    assert failure("import sys\nsys.exit('no luck')") == "no luck"
    assert failure("import sys\nsys.exit(3)") == "the program ended with exit code 3"


def test_dataclasses_work_in_a_program() -> None:
    text = """
        from __future__ import annotations
        from dataclasses import dataclass
        @dataclass
        class Point:
            x: int
        def main():
            return Point(3).x
    """
    assert outcome(text).result == "3"


# --- entry functions -----------------------------------------------------------------------------------


def test_an_entry_function_takes_and_gives_json() -> None:
    text = "def add(a, *, b=2): return {'sum': a + b}"
    assert outcome(text, '{"args": [1], "kwargs": {"b": 4}}', entry="add").result == '{"sum": 5}'
    assert outcome(text, '{"args": [1]}', entry="add").result == '{"sum": 3}'


def test_an_entry_function_gives_text_and_nothing_as_json_too() -> None:
    assert outcome("async def f(): return 'x'", "{}", entry="f").result == '"x"'
    assert outcome("def f(): pass", entry="f").result == "null"


def test_a_result_that_json_cannot_carry_is_refused() -> None:
    assert "f returned {1}, which JSON cannot carry" in failure("def f(): return {1}", "{}", entry="f")


def test_an_entry_that_is_not_there_is_named() -> None:
    assert failure("x = 1", "{}", entry="f") == "the program has no function 'f'"


# --- errors --------------------------------------------------------------------------------------------


def test_a_traceback_shows_the_users_lines_only() -> None:
    text = """\
        from inferlet import Context
        async def main():
            with Context() as context:
                context.fill(object())
    """
    shown = failure(text)
    assert 'File "my.py", line 4, in main\n    context.fill(object())\n' in shown
    assert "inferlet/" not in shown
    assert shown.splitlines()[0].startswith("my.py, line 4: TypeError: tokens must be integers")


def test_lines_count_from_where_the_text_stands_in_the_users_file() -> None:
    shown = failure("def main():\n    return 1 / 0\n", first_line=100)
    assert 'File "my.py", line 101, in main\n    return 1 / 0\n' in shown


def test_a_syntax_error_shows_the_line_and_a_caret() -> None:
    shown = failure("x = (1,\n", first_line=7)
    message, _, rest = shown.partition("\n\n")
    assert message == "my.py, line 7: SyntaxError: '(' was never closed"
    assert '  File "my.py", line 7\n    x = (1,\n        ^\n' in rest


def test_causes_are_trimmed_too() -> None:
    text = """
        import json
        def main():
            try:
                json.loads("{")
            except ValueError as error:
                raise RuntimeError("bad reply") from error
    """
    shown = failure(text)
    assert shown.count('File "my.py"') == 2
    assert "json/" not in shown
    assert "JSONDecodeError" in shown


def test_errors_in_a_task_group_are_trimmed_too() -> None:
    text = """
        import asyncio
        async def fail():
            raise ValueError("inner")
        async def main():
            async with asyncio.TaskGroup() as group:
                group.create_task(fail())
    """
    shown = failure(text)
    assert "ValueError: inner" in shown
    assert "taskgroups.py" not in shown


def test_a_module_that_is_not_there_says_what_the_sandbox_offers() -> None:
    message = failure("import requests_").splitlines()[0]
    assert message.startswith("my.py, line 1: ModuleNotFoundError: No module named 'requests_': ")
    assert "the standard library" in message


def test_endless_recursion_names_the_line() -> None:
    shown = failure("def main():\n    return main()\n")
    assert "line 2, in main" in shown
    assert "RecursionError" in shown
    assert len(shown) < 2000


def test_an_error_of_the_server_is_raised_on_the_users_line() -> None:
    shown = failure("from inferlet import raw\n\nraw.dealloc_kvpage(1, [5])\n")
    assert 'File "my.py", line 3' in shown
    assert shown.splitlines()[0] == "my.py, line 3: UnknownId: queue 1 does not exist"


def test_a_deadlock_names_the_lines_that_wait() -> None:
    shown = failure("import asyncio\nasync def main():\n    await asyncio.Event().wait()\n")
    message, _, rest = shown.partition("\n\n")
    assert message == "Deadlock: every task waits for another one, for ever: main at line 3"
    assert "base_events" not in rest


def test_tasks_left_behind_are_named_on_standard_error() -> None:
    text = """
        import asyncio
        async def main():
            task = asyncio.create_task(asyncio.sleep(99), name="sleeper")
            await asyncio.sleep(0)
            return str(task.done())
    """
    done = outcome(text)
    assert done.result == "False"
    assert "nobody awaited them: sleeper" in done.errors


@pytest.mark.skipif(sys.version_info < (3, 12), reason="sys.monitoring came with Python 3.12")
def test_each_loop_is_noted_once_with_its_line() -> None:
    notes: list[int] = []
    text = "def main():\n    for _ in range(9):\n        n = 0\n        while n < 3:\n            n += 1\n"
    with FakeHost():
        run_program(SourceText(text), [], notes.append)
    assert sorted(set(notes)) == [2, 4]
    assert len(notes) < 5
