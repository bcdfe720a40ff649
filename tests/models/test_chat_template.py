"""Chats become text as transformers renders them; neither the template nor the messages are trusted."""

import json
from pathlib import Path
from typing import Any

import pytest
from transformers import PreTrainedTokenizerFast

from pie.core.errors import InvalidArgument
from pie.models import ModelTokenizer
from pie.models.chat_template import MOST_OUTPUT, ChatTemplate, find_template_problem
from pie.models.tiny import CHAT_TEMPLATE

USER = [{"role": "user", "content": "hi"}]
CHATS: list[list[dict[str, Any]]] = [
    USER,
    [{"role": "system", "content": "Be brief."}, *USER, {"role": "assistant", "content": "ho"}],
]
TEMPLATES = [
    CHAT_TEMPLATE,
    "{{ bos_token }}{% for m in messages -%}\n    {{ m.role | upper }}: {{ m.content }}\n{% endfor %}\n",
    "{% for m in messages %}{% if loop.first %}{% continue %}{% endif %}{{ m | tojson }}{% endfor %}",
    "{%- set ns=namespace(n=0) -%}{%- for m in messages -%}{%- set ns.n = ns.n + 1 -%}{% endfor %}{{ ns.n }}",
    "{{ messages | tojson(indent=2) }}{% if add_generation_prompt %}!{% endif %}",
]


def render(template: str, messages: object, prompt: bool = True) -> str:
    return ChatTemplate(template, {"bos_token": "<s>"}).render(json.dumps(messages), prompt)


@pytest.mark.parametrize("prompt", [True, False])
@pytest.mark.parametrize("messages", CHATS)
@pytest.mark.parametrize("template", TEMPLATES)
def test_a_chat_is_rendered_as_transformers_does(
    tiny_folder: Path, template: str, messages: list[dict[str, Any]], prompt: bool
) -> None:
    theirs = PreTrainedTokenizerFast(tokenizer_file=str(tiny_folder / "tokenizer.json"), bos_token="<s>")  # type: ignore[no-untyped-call]
    expected = theirs.apply_chat_template(
        messages, chat_template=template, tokenize=False, add_generation_prompt=prompt
    )
    assert render(template, messages, prompt) == expected


def test_tools_are_rendered_as_transformers_does(tiny_folder: Path) -> None:
    template = "{% for t in tools or [] %}{{ t | tojson }}{% endfor %}{{ messages[0].content }}"
    tools = [{"type": "function", "function": {"name": "add", "parameters": {"type": "object"}}}]
    theirs = PreTrainedTokenizerFast(tokenizer_file=str(tiny_folder / "tokenizer.json"), bos_token="<s>")  # type: ignore[no-untyped-call]
    expected = theirs.apply_chat_template(USER, tools=tools, chat_template=template, tokenize=False)
    assert render(template, {"messages": USER, "tools": tools}) == expected
    assert render(template, {"messages": USER}) == render(template, USER) == "hi"


def test_a_stored_model_renders_with_its_own_template(tiny_tokenizer: ModelTokenizer) -> None:
    rendered = tiny_tokenizer.render_chat(json.dumps(USER), True)
    assert rendered == "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n"


@pytest.mark.parametrize(
    ("messages", "complaint"),
    [
        ("not json", "not a JSON list"),
        ('{"role": "user"}', "not a JSON list"),
        ("[3]", "not a JSON list"),
        ("[" * 50_000, "not a JSON list"),
        ("[]", "0 messages"),
        (json.dumps(USER * 5000), "5000 messages"),
        ('[{"content": "x"}]', 'message 0 has no "role"'),
        ('[{"role": "user"}]', 'message 0 has no "content"'),
        ('[{"role": "user", "content": 3}]', "not a text"),
    ],
)
def test_messages_that_are_none_are_refused_with_a_reason(messages: str, complaint: str) -> None:
    with pytest.raises(InvalidArgument, match=complaint):
        ChatTemplate(CHAT_TEMPLATE, {}).render(messages, True)


def test_what_a_template_refuses_reaches_the_program() -> None:
    with pytest.raises(InvalidArgument, match="refuses these messages: roles must alternate"):
        render("{{ raise_exception('roles must alternate') }}", USER)


@pytest.mark.parametrize(
    "template",
    [
        "{{ messages.__class__.__mro__ }}",
        "{{ ''.__class__.__base__.__subclasses__() }}",
        "{{ messages.append(1) }}",
        "{{ raise_exception.__globals__['__builtins__'] }}",
    ],
)
def test_a_template_cannot_leave_the_sandbox(template: str) -> None:
    with pytest.raises(InvalidArgument, match="template fails"):
        render(template, USER)


@pytest.mark.parametrize(
    "template",
    [
        "{{ undefined_thing.attribute }}",
        "{{ 1 // 0 }}",
        "{% macro again() %}{{ again() }}{% endmacro %}{{ again() }}",
    ],
)
def test_a_template_that_fails_is_the_guest_s_error_not_ours(template: str) -> None:
    with pytest.raises(InvalidArgument, match="template fails"):
        render(template, USER)


def test_the_output_has_a_bound() -> None:
    with pytest.raises(InvalidArgument, match=f"longer than {MOST_OUTPUT:,}"):
        render("{% for i in range(99999) %}{{ 'x' * 1000 }}{% endfor %}", USER)


def test_a_template_that_does_not_compile_is_explained() -> None:
    assert "Expected an expression" in find_template_problem("{% for %}")
    assert find_template_problem(CHAT_TEMPLATE) == ""


def test_today_is_known_to_templates() -> None:
    assert render("{{ strftime_now('%Y') }}", USER).isdigit()
