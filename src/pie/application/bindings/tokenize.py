"""`pie:inferlet/tokenize`: text to tokens and back, without the driver.

Long texts are worked on in a thread, so that they hold up nobody else.
"""

from collections.abc import Sequence

from pie.application.guest import Guest
from pie.application.hostcall import suspends

SHORT_TEXT = 4096
SHORT_LIST = 2048
"""Characters and tokens that take well under a millisecond."""


@suspends
def tokenize(guest: Guest, model: str, text: str) -> object:
    encode = guest.control.tokenizer(model).encode
    guest.check_size("a text", len(text))
    return encode(text) if len(text) <= SHORT_TEXT else guest.in_thread(encode, text)


@suspends
def detokenize(guest: Guest, model: str, tokens: Sequence[int]) -> object:
    decode = guest.control.tokenizer(model).decode
    return decode(tokens) if len(tokens) <= SHORT_LIST else guest.in_thread(decode, tokens)


@suspends
def token_bytes(guest: Guest, model: str, tokens: Sequence[int]) -> object:
    find = guest.control.tokenizer(model).token_bytes
    return find(tokens) if len(tokens) <= SHORT_LIST else guest.in_thread(find, tokens)


def get_vocabs(guest: Guest, model: str) -> list[bytes]:
    return guest.control.tokenizer(model).vocabulary()


@suspends
def apply_chat_template(guest: Guest, model: str, messages: str, add_generation_prompt: bool) -> object:
    render = guest.control.tokenizer(model).render_chat
    guest.check_size("the messages", len(messages))
    if len(messages) <= SHORT_TEXT:
        return render(messages, add_generation_prompt)
    return guest.in_thread(render, messages, add_generation_prompt)


FUNCTIONS = (tokenize, detokenize, token_bytes, get_vocabs, apply_chat_template)
