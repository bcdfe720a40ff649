"""Conversations: the model's chat template, its turns, and tools that it may call."""

import json
from collections.abc import AsyncGenerator, Sequence
from types import TracebackType
from typing import Any, NamedTuple, Self

from inferlet.context import Context
from inferlet.errors import InvalidArgument
from inferlet.grammar import Grammar
from inferlet.model import Message, Model
from inferlet.sampling import PickToken
from inferlet.schemas import Schema
from inferlet.tools import Tool, ToolCall, call_schema, read_call

OPEN, CLOSE = "<tool_call>", "</tool_call>"
"""Around a call, as most models have learned it (Hermes, Qwen, SmolLM2)."""

AS_DUMPS = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}
"""JSON as `json.dumps` writes it: a small model could go on with white space for ever."""

TOOLS_PROMPT = """You can call these functions:
{tools}

To call one, answer only:
{open}
{{"name": "the function's name", "arguments": {{...}}}}
{close}
You will be told its result; then answer the user in words."""


RESULT_PROMPT = "The result is: {result}. Now answer my question in words."
"""Said by the user, for models that have not learned the role of a tool; small ones understand this."""


class ChatTemplate:
    """The text that a model was trained to see for a conversation."""

    def __init__(self, model: Model | str | None = None) -> None:
        self.model = model if isinstance(model, Model) else Model(model)
        self.shows_tools = "tools" in self.model.chat_template
        """The template has a place for tools; else they are explained in the system message."""

    def render(
        self, messages: Sequence[Message], tools: Sequence[Tool[..., Any]] = (),
        add_generation_prompt: bool = True,
    ) -> str:
        """The whole conversation as text. With `add_generation_prompt` it ends where the reply begins."""
        shown = [each.schema for each in tools]
        if tools and not self.shows_tools:
            messages, shown = _with_tools(messages, shown), []
        return self.model.apply_chat_template(messages, add_generation_prompt, shown)

    def turn(self, message: Message, before: Sequence[Message] = (), reply: bool = True) -> str:
        """What one more message adds to a conversation, up to where the reply begins (with `reply`).

        Raises `InvalidArgument` for a template that writes earlier messages differently then.
        """
        old = self.render(before, add_generation_prompt=False) if before else ""
        new = self.render([*before, message], add_generation_prompt=reply)
        if not new.startswith(old):
            raise InvalidArgument(
                f"the chat template of {self.model.name} writes earlier messages anew with each turn: "
                "`render` the whole conversation instead"
            )
        return new[len(old) :]


class Reply(NamedTuple):
    """What the model answered: words, or a call."""

    text: str
    call: ToolCall | None = None


class Chat:
    """A conversation with a context of its own. What has been said once is not computed again.

    system: the system message. tools: functions (`@tool`) that the model may call. model: as for `Context`;
    context: one to use instead of an own one. Close it, or use it in `with`.
    """

    def __init__(
        self, system: str = "", tools: Sequence[Tool[..., Any]] = (), model: Model | str | None = None,
        context: Context | None = None,
    ) -> None:
        self.context = context or Context(model)
        self.template = ChatTemplate(self.context.model)
        self.tools = list(tools)
        self.messages: list[Message] = [{"role": "system", "content": system}] if system else []
        """The conversation so far; it may be changed."""

    def say(self, text: str, role: str = "user") -> None:
        """Adds a message; nothing is computed yet."""
        self.messages.append({"role": role, "content": text})

    async def ask(
        self, text: str, max_tokens: int = 256, sampler: PickToken | None = None, max_calls: int = 4,
        must_call: bool = False,
    ) -> str:
        """Says something and gives the model's answer in words; the calls that it makes for it are done.

        max_calls: after so many it must answer. must_call: it must make one before it answers.
        """
        self.say(text)
        for number in range(max_calls if self.tools else 0):
            reply = await self.reply(max_tokens, sampler, "required" if must_call and not number else "auto")
            if reply.call is None:
                return reply.text
            self.say(await reply.call.run(), "tool")
        return (await self.reply(max_tokens, sampler, "none")).text

    async def reply(
        self, max_tokens: int = 256, sampler: PickToken | None = None, calls: str = "auto"
    ) -> Reply:
        """The model's next message, which becomes part of the conversation.

        calls: "auto": words or a call of a tool; "required": a call; "none": words.
        """
        self._read()
        if not self.tools or calls == "none":
            text = await self.context.generate(max_tokens, sampler)
        else:
            grammar = self._grammar(calls)
            text = await self.context.generate(max_tokens, sampler, grammar=grammar)
        self.say(text, "assistant")
        return Reply(text, self._call_in(text))

    async def stream(
        self, max_tokens: int = 256, sampler: PickToken | None = None
    ) -> AsyncGenerator[str, None]:
        """The model's next message, in words and piece by piece."""
        self._read()
        text = ""
        async for piece in self.context.stream(max_tokens, sampler):
            text += piece
            yield piece
        self.say(text, "assistant")

    def close(self) -> None:
        """Gives the context back."""
        self.context.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _read(self) -> None:
        if not self.messages:
            raise InvalidArgument("nothing has been said yet: `say` something first")
        self.context.replace(self.template.render(self.messages, self.tools))

    def _grammar(self, calls: str) -> Grammar:
        """A call of a tool; with "auto", or any text that does not begin like one."""
        if calls not in ("auto", "required"):
            raise InvalidArgument(f'calls must be "auto", "required" or "none", not {calls!r}')
        start = "call | /[^<](.|\\n)*/" if calls == "auto" else "call"
        schema = json.dumps(call_schema(self.tools) | {"x-guidance": AS_DUMPS})
        return Grammar.lark(
            f'start: {start}\ncall: "{OPEN}\\n" json "\\n{CLOSE}"\njson: %json {schema}\n'
        )

    def _call_in(self, text: str) -> ToolCall | None:
        before, found, after = text.partition(OPEN)
        if not self.tools or not found or before.strip():
            return None
        try:
            return read_call(after.partition(CLOSE)[0], self.tools)
        except InvalidArgument:
            return None


def _with_tools(messages: Sequence[Message], schemas: Sequence[Schema]) -> list[Message]:
    """Tools explained in the system message, results told by the user: for templates without tools."""
    lines = "\n".join(json.dumps(schema["function"]) for schema in schemas)
    about = TOOLS_PROMPT.format(tools=lines, open=OPEN, close=CLOSE)
    if messages and messages[0]["role"] == "system":
        first, rest = f"{messages[0]['content']}\n\n{about}", messages[1:]
    else:
        first, rest = about, messages
    return [{"role": "system", "content": first}, *map(_told_by_user, rest)]


def _told_by_user(message: Message) -> Message:
    if message["role"] != "tool":
        return message
    return {"role": "user", "content": RESULT_PROMPT.format(result=message["content"])}
