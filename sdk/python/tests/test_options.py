"""Options from the signature of `main`."""

import pytest

from inferlet.options import HelpWanted, UsageError, read_options


def main(prompt: str, max_tokens: int = 64, temperature: float = 0.5, echo: bool = False) -> None:
    """Continues a text.

    100% of it.
    """


def read(*args: str) -> dict[str, object]:
    return {"max_tokens": 64, "temperature": 0.5, "echo": False, **read_options(main, args, "my.py")}


def test_values_have_the_types_of_the_parameters() -> None:
    assert read("--prompt", "a b", "--max-tokens", "3", "--temperature", "1") == {
        "prompt": "a b", "max_tokens": 3, "temperature": 1.0, "echo": False,
    }


def test_defaults_stand_where_nothing_is_given() -> None:
    assert read("--prompt", "x") == {"prompt": "x", "max_tokens": 64, "temperature": 0.5, "echo": False}


def test_an_equals_sign_works_too() -> None:
    assert read("--prompt=--x", "--max-tokens=7")["prompt"] == "--x"


def test_yes_or_no_is_a_flag() -> None:
    assert read("--prompt", "x", "--echo")["echo"] is True
    assert read("--prompt", "x", "--no-echo")["echo"] is False


def test_nothing_is_needed_for_a_main_without_parameters() -> None:
    assert read_options(lambda: None, [], "my.py") == {}


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ((), "the following arguments are required: --prompt"),
        (("--prompt", "x", "--tokens", "3"), "unknown option '--tokens'"),
        (("--prompt", "x", "--max-tokens", "many"), "argument --max-tokens: invalid int value: 'many'"),
        (("--prompt", "x", "--max", "3"), "unknown option '--max'"),
        (("--prompt",), "argument --prompt: expected one argument"),
        (("x", "y"), "the following arguments are required: --prompt"),
    ],
)
def test_wrong_options_show_the_right_ones_and_say_last_what_is_wrong(
    args: tuple[str, ...], message: str
) -> None:
    with pytest.raises(UsageError) as caught:
        read(*args)
    first, *_, last = str(caught.value).splitlines()
    assert first == "usage: my.py [-h] --prompt TEXT [--max-tokens N] [--temperature X] [--echo | --no-echo]"
    assert last == f"my.py: {message}"


def test_help_shows_the_docstring_and_the_defaults() -> None:
    with pytest.raises(HelpWanted) as caught:
        read("--help")
    shown = str(caught.value)
    assert "100% of it." in shown
    assert "whole number; 64 if not given" in shown
    assert "text, required" in shown


def test_an_optional_parameter_counts_as_its_type() -> None:
    def optional(seed: int | None = None) -> None: ...

    assert read_options(optional, ["--seed", "4"], "my.py") == {"seed": 4}
    assert read_options(optional, [], "my.py") == {}


def test_a_default_tells_the_type_where_nothing_is_annotated() -> None:
    def bare(count=3, name=None):  # type: ignore[no-untyped-def]
        pass

    assert read_options(bare, ["--count", "4", "--name", "x"], "my.py") == {"count": 4, "name": "x"}


def test_keyword_only_parameters_are_options_too() -> None:
    def keywords(*, a: int, b: int = 2) -> None: ...

    assert read_options(keywords, ["--a", "1"], "my.py")["a"] == 1
    with pytest.raises(UsageError, match="required: --a"):
        read_options(keywords, [], "my.py")


def test_a_type_that_no_option_can_have_is_refused() -> None:
    def strange(when: list[int]) -> None: ...

    with pytest.raises(UsageError, match="parameter `when` of `main` must be str, int, float or bool"):
        read_options(strange, ["--when", "1"], "my.py")


def test_a_catch_all_parameter_is_refused() -> None:
    def everything(*words: str) -> None: ...

    with pytest.raises(UsageError, match="no option can fill"):
        read_options(everything, ["a"], "my.py")
