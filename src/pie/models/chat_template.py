"""A model's chat template: jinja2, which came with the model, on messages, which came from a guest.

Neither is trusted: the sandbox keeps the template from Python's insides, and the output has a bound.
"""

import json
from datetime import datetime
from typing import Any, NoReturn

import msgspec
from jinja2 import TemplateError
from jinja2.ext import loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment

from pie.core.errors import InvalidArgument

MOST_OUTPUT = 4 << 20
"""Characters of a rendered chat."""
MOST_MESSAGES = 4096


class Conversation(msgspec.Struct):
    """Messages, and the tools that the model may call."""

    messages: list[dict[str, Any]]
    tools: list[dict[str, Any]] | None = None


class RefusedByTemplate(Exception):
    """The template called `raise_exception`: these messages are not what it is for."""


def raise_exception(message: object) -> NoReturn:
    raise RefusedByTemplate(str(message)[:1000])


def strftime_now(format: str) -> str:
    return datetime.now().strftime(format)


def to_json(value: object, indent: int | None = None) -> str:
    """Templates expect JSON as it is; jinja2's own filter escapes it for HTML."""
    return json.dumps(value, ensure_ascii=False, indent=None if indent is None else min(indent, 16))


def make_environment() -> ImmutableSandboxedEnvironment:
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols]
    )
    environment.filters["tojson"] = to_json
    environment.globals["raise_exception"] = raise_exception
    environment.globals["strftime_now"] = strftime_now
    return environment


class ChatTemplate:
    """Compiled once. `tokens` are the texts of special tokens under the names that templates use."""

    def __init__(self, source: str, tokens: dict[str, str]) -> None:
        self._template = make_environment().from_string(source)
        self._tokens = tokens

    def render(self, messages: str, add_generation_prompt: bool) -> str:
        """Raises `InvalidArgument` for messages that are no messages, or that the template refuses."""
        parsed, tools = parse_conversation(messages)
        try:
            return self._render(messages=parsed, tools=tools, add_generation_prompt=add_generation_prompt)
        except InvalidArgument:
            raise
        except RefusedByTemplate as error:
            raise InvalidArgument(f"the model's chat template refuses these messages: {error}") from None
        except Exception as error:
            raise InvalidArgument(f"the model's chat template fails on these messages: {error}") from error

    def _render(self, **values: object) -> str:
        pieces, length = [], 0
        for piece in self._template.generate(**self._tokens, **values):
            length += len(piece)
            if length > MOST_OUTPUT:
                raise InvalidArgument(f"the rendered chat is longer than {MOST_OUTPUT:,} characters")
            pieces.append(piece)
        return "".join(pieces)


def find_template_problem(source: str) -> str:
    """Why `source` does not compile, or nothing."""
    try:
        make_environment().from_string(source)
    except (TemplateError, RecursionError, ValueError) as error:
        return str(error) or type(error).__name__
    return ""


def parse_conversation(text: str) -> tuple[list[dict[str, Any]], list[dict[str, Any]] | None]:
    """A list of messages, or an object with `messages` and `tools` (JSON schemas of functions, or None)."""
    try:
        found = msgspec.json.decode(text, type=list[dict[str, Any]] | Conversation)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise InvalidArgument(f"messages are not a JSON list of objects: {error}") from None
    if isinstance(found, Conversation):
        return check_messages(found.messages), found.tools or None
    return check_messages(found), None


def check_messages(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    if not 1 <= len(messages) <= MOST_MESSAGES:
        raise InvalidArgument(f"there are {len(messages)} messages, not between 1 and {MOST_MESSAGES}")
    for index, message in enumerate(messages):
        check_message(index, message)
    return messages


def check_message(index: int, message: dict[str, Any]) -> None:
    if not isinstance(message.get("role"), str):
        raise InvalidArgument(f'message {index} has no "role" (a text such as "user")')
    if "content" in message and not isinstance(message["content"], str | list | None):
        raise InvalidArgument(f'message {index} has a "content" that is not a text')
    if "content" not in message and "tool_calls" not in message:
        raise InvalidArgument(f'message {index} has no "content"')
