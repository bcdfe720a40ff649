"""Conversations, the chat template, and tools in it."""

import pytest

from inferlet import Chat, ChatTemplate, Context, tool
from inferlet.errors import InvalidArgument
from inferlet.runner import run_in_loop
from inferlet.testing import FakeHost, scripted
from inferlet.testing.runtime import ModelRecord

TURN = "<|im_start|>user\n{}<|im_end|>\n<|im_start|>assistant\n"
RESULT = TURN.format("The result is: {}. Now answer my question in words.")
CALL = '<tool_call>\n{{"name": "multiply", "arguments": {{"a": {}, "b": {}}}}}\n</tool_call>'


@tool
def multiply(a: int, b: int) -> int:
    """The product of two numbers."""
    if a > 1000:
        raise ValueError("too large")
    return a * b


def test_a_conversation_keeps_its_messages() -> None:
    async def main() -> list[str]:
        with Chat("Be brief.") as chat:
            said = [await chat.ask("Hi"), await chat.ask("And now?")]
            assert [message["role"] for message in chat.messages] == ["system", *["user", "assistant"] * 2]
            return said

    with FakeHost(scripted({TURN.format("Hi"): "Hello!", TURN.format("And now?"): "Bye."})) as host:
        assert run_in_loop(main()) == ["Hello!", "Bye."]
        assert host.calls.count("forward") == 2
        assert host.pages == set()


def test_a_reply_can_stream() -> None:
    async def main() -> str:
        with Chat() as chat:
            chat.say("Hi")
            text = "".join([piece async for piece in chat.stream()])
            assert chat.messages[-1] == {"role": "assistant", "content": text}
            return text

    with FakeHost(scripted({TURN.format("Hi"): "Hello!"})):
        assert run_in_loop(main()) == "Hello!"


def agent(question: str, replies: dict[str, str], must_call: bool = False) -> tuple[str, list[str]]:
    async def main() -> tuple[str, list[str]]:
        with Chat(tools=[multiply]) as chat:
            answer = await chat.ask(question, must_call=must_call)
            return answer, [str(message["content"]) for message in chat.messages if message["role"] == "tool"]

    with FakeHost(scripted(replies)):
        return run_in_loop(main())


def test_a_call_is_done_and_its_result_told() -> None:
    replies = {TURN.format("17 * 23?"): CALL.format(17, 23), RESULT.format("391"): "It is 391."}
    assert agent("17 * 23?", replies) == ("It is 391.", ["391"])


def test_words_are_an_answer_too() -> None:
    assert agent("Hi", {TURN.format("Hi"): "Hello!"}) == ("Hello!", [])


def test_the_model_may_call_again_after_an_error() -> None:
    replies = {
        TURN.format("?"): CALL.format(2000, 1),
        RESULT.format("Error: ValueError: too large"): CALL.format(2, 1),
        RESULT.format("2"): "2, that is.",
    }
    assert agent("?", replies) == ("2, that is.", ["Error: ValueError: too large", "2"])


def test_a_model_that_would_rather_talk_can_be_made_to_call() -> None:
    assert agent("?", {TURN.format("?"): "Well..."})[1] == []
    assert len(agent("?", {TURN.format("?"): "Well..."}, must_call=True)[1]) == 1


def test_after_enough_calls_it_must_answer() -> None:
    replies = {TURN.format("?"): CALL.format(1, 1), RESULT.format("1"): CALL.format(1, 1)}
    answer, results = agent("?", replies)
    assert results == ["1"] * 4
    assert answer == CALL.format(1, 1)


def test_tools_stand_in_the_system_message_where_the_template_has_no_place_for_them() -> None:
    with FakeHost():
        text = ChatTemplate().render([{"role": "user", "content": "Hi"}], [multiply])
    assert text.startswith("<|im_start|>system\nYou can call these functions:\n{\"name\": \"multiply\"")
    assert "The product of two numbers." in text


def test_a_template_that_shows_tools_gets_their_schemas() -> None:
    with FakeHost(models=[ModelRecord(chat_template="{{ tools }}")]):
        template = ChatTemplate()
        assert template.shows_tools
        assert "You can call" not in template.render([{"role": "user", "content": "Hi"}], [multiply])


def test_a_turn_is_what_a_message_adds() -> None:
    with FakeHost():
        template = ChatTemplate()
        first = {"role": "system", "content": "Be brief."}
        turn = template.turn({"role": "user", "content": "Hi"}, [first])
        assert turn == TURN.format("Hi")
        assert template.render([first, {"role": "user", "content": "Hi"}]).endswith(turn)


def test_turns_can_be_filled_in_one_by_one() -> None:
    async def main() -> str:
        template = ChatTemplate()
        with Context() as context:
            context.fill(template.turn({"role": "user", "content": "Hi"}))
            return await context.generate(20)

    with FakeHost(scripted({TURN.format("Hi"): "Hello!"})):
        assert run_in_loop(main()) == "Hello!"


def test_a_conversation_begins_with_a_message() -> None:
    with FakeHost(), pytest.raises(InvalidArgument, match="`say` something first"):
        run_in_loop(Chat().reply())
