"""agent"""

from collections.abc import Callable
from pathlib import Path

import pytest

from inferlet.testing import run, scripted

PROGRAM = Path(__file__).with_name("agent.py")
TURN = "<|im_start|>user\n{}<|im_end|>\n<|im_start|>assistant\n"
CALL = '<tool_call>\n{"name": "calculate", "arguments": {"a": 17, "operation": "*", "b": 23}}\n</tool_call>'
RESULT = TURN.format("The result is: {}. Now answer my question in words.")


def test_the_model_calls_and_answers() -> None:
    model = scripted({TURN.format("17 * 23?"): CALL, RESULT.format("391"): "It is 391."})
    assert run(PROGRAM, ["--question", "17 * 23?"], answer=model).text == "It is 391."


def test_what_goes_wrong_is_told_to_the_model() -> None:
    call = CALL.replace("*", "/").replace("23", "0")
    error = RESULT.format("Error: ZeroDivisionError: division by zero")
    model = scripted({TURN.format("17 / 0?"): call, error: "That cannot be."})
    assert run(PROGRAM, ["--question", "17 / 0?"], answer=model).text == "That cannot be."


def test_it_is_short() -> None:
    code = PROGRAM.read_text().partition("\n\n")[2].splitlines()
    assert len([line for line in code if line.strip()]) <= 12


@pytest.mark.wasm
@pytest.mark.model
def test_in_the_sandbox_it_calculates(run_for_real: Callable[..., str]) -> None:
    assert "391" in run_for_real("agent", "--question", "What is 17 times 23?")
