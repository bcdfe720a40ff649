"""Models for tests: given these tokens, these distributions."""

import pytest

from inferlet.testing import alphabet, scripted
from inferlet.testing.answers import END, tokenize

MODEL = scripted({"Hi": " there", "Hot? ": {"yes": 0.8, "no": 0.15, "never": 0.05}, "Hi there": " all"})


def after(text: str) -> dict[str, float]:
    return {chr(token) if token < 256 else "END": share for token, share in MODEL(tokenize(text)).items()}


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("Hi", {" ": 1.0}),
        ("Oh, Hi the", {"r": 1.0}),
        ("Hi there", {"END": 1.0}),
        ("Hot? ", {"y": 0.8, "n": 0.2}),
        ("Hot? n", {"o": 0.75, "e": 0.25}),
        ("Hot? no", {"END": 1.0}),
        ("What?", {"END": 1.0}),
        ("", {"END": 1.0}),
    ],
)
def test_a_script_says_what_comes_next(text: str, answer: dict[str, float]) -> None:
    assert after(text) == pytest.approx(answer)


def test_the_end_is_a_stop_token() -> None:
    assert MODEL(tokenize("Hi there")) == {END: 1.0}


def test_the_alphabet_goes_on_most_of_the_time() -> None:
    assert alphabet(tokenize("a")) == {ord("b"): 0.7, ord("c"): 0.2, ord("d"): 0.1}
