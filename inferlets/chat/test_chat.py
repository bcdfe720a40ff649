"""chat"""

from collections.abc import Callable
from pathlib import Path

import pytest

from inferlet.testing import run, scripted

PROGRAM = Path(__file__).with_name("chat.py")
TURN = "<|im_start|>user\n{}<|im_end|>\n<|im_start|>assistant\n"
TALK = scripted({TURN.format("Hi"): "Hello!", TURN.format("And now?"): "Bye."})


def test_it_answers_one_prompt() -> None:
    assert run(PROGRAM, ["--prompt", "Hi"], answer=TALK).text == "Hello!"


def test_it_answers_every_message_until_the_client_leaves() -> None:
    assert run(PROGRAM, answer=TALK, messages=["Hi", "And now?"]).text == "Hello!\nBye.\n"


def test_an_empty_message_ends_the_conversation() -> None:
    assert run(PROGRAM, answer=TALK, messages=["Hi", "", "And now?"]).text == "Hello!\n"


def test_the_system_message_comes_first() -> None:
    rules = "<|im_start|>system\nBe brief.<|im_end|>\n" + TURN.format("Hi")
    outcome = run(PROGRAM, ["--system", "Be brief.", "--prompt", "Hi"], answer=scripted({rules: "Yo"}))
    assert outcome.text == "Yo"


def test_a_turn_does_not_compute_the_turns_before_it_again() -> None:
    def forwards(*messages: str) -> int:
        return run(PROGRAM, answer=TALK, messages=messages).host.calls.count("forward")

    assert forwards("Hi", "And now?") - forwards("Hi") == 2


@pytest.mark.wasm
@pytest.mark.model
def test_in_the_sandbox_it_answers(run_for_real: Callable[..., str]) -> None:
    assert run_for_real("chat", "--max-tokens", "8", lines="Hi\n\n").strip()
