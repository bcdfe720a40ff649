"""What a model says about itself beside its numbers: license, chat template, special tokens."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import tokenizers

from pie.core.errors import BadModel
from pie.models.chat_template import find_template_problem
from pie.models.config import Keys
from pie.models.gguf_file import GgufFile
from pie.models.gguf_marks import token_id
from pie.models.hf_config import read_json
from pie.models.stored import Details

ENDS = ("<|endoftext|>", "<|end_of_text|>", "<|im_end|>", "<|eot_id|>", "<|eom_id|>", "</s>", "<end_of_turn>")
"""Special tokens that end a reply by their name, whatever the file says."""
TEMPLATE_NAMES = ("bos", "eos", "unk", "pad")
GGUF_NAMES = {"bos": "bos", "eos": "eos", "unk": "unknown", "pad": "padding"}
MOST_TEXT = 1 << 20


def gguf_details(file: GgufFile, engine: tokenizers.Tokenizer, version: str) -> Details:
    keys = Keys(str(file.path), file.metadata)
    count = engine.get_vocab_size(with_added_tokens=True)
    ends = (token_id(file, name, count) for name in ("eos", "eot", "eom"))
    named = {name: token_id(file, own, count) for name, own in GGUF_NAMES.items()}
    texts = {f"{name}_token": engine.id_to_token(token) for name, token in named.items() if token is not None}
    return Details(
        description=keys.text("general.name")[:MOST_TEXT],
        version=version or keys.text("general.version")[:MOST_TEXT],
        license=keys.text("general.license")[:MOST_TEXT],
        chat_template=checked_template(str(file.path), keys.text("tokenizer.chat_template")),
        bos_token=first_token(engine),
        stop_tokens=stop_tokens(engine, [token for token in ends if token is not None]),
        template_tokens={name: text for name, text in texts.items() if text},
    )


def folder_details(folder: Path, engine: tokenizers.Tokenizer, name: str, version: str) -> Details:
    own = optional_json(folder / "tokenizer_config.json")
    return Details(
        description=name,
        version=version,
        license="",
        chat_template=checked_template(str(folder), folder_template(folder, own)),
        bos_token=first_token(engine),
        stop_tokens=stop_tokens(engine, folder_ends(folder, engine, own)),
        template_tokens={
            f"{name}_token": text for name in TEMPLATE_NAMES if (text := token_text(own.get(f"{name}_token")))
        },
    )


def optional_json(path: Path) -> dict[str, Any]:
    return read_json(path) if path.exists() else {}


def token_text(value: object) -> str:
    """Older files give an object with the text in `content`."""
    if isinstance(value, Mapping):
        value = value.get("content")
    return value if isinstance(value, str) else ""


def folder_template(folder: Path, own: dict[str, Any]) -> str:
    path = folder / "chat_template.jinja"
    if path.exists():
        try:
            return (
                path.read_text(encoding="utf-8")
                if path.stat().st_size <= MOST_TEXT
                else " " * (MOST_TEXT + 1)
            )
        except (OSError, UnicodeDecodeError) as error:
            raise BadModel(f"cannot read {path}: {error}") from error
    template = own.get("chat_template")
    if isinstance(template, list):
        named = {item.get("name"): item.get("template") for item in template if isinstance(item, dict)}
        template = named.get("default")
    return template if isinstance(template, str) else ""


def checked_template(origin: str, template: str) -> str:
    problem = "it is too long" if len(template) > MOST_TEXT else find_template_problem(template)
    if problem:
        raise BadModel(f"{origin}: its chat template does not compile: {problem}")
    return template


def folder_ends(folder: Path, engine: tokenizers.Tokenizer, own: dict[str, Any]) -> list[int]:
    for path in (folder / "generation_config.json", folder / "config.json"):
        tokens = end_tokens(path, engine.get_vocab_size(with_added_tokens=True))
        if tokens:
            return tokens
    token = engine.token_to_id(token_text(own.get("eos_token")))
    return [] if token is None else [token]


def end_tokens(path: Path, count: int) -> list[int]:
    """`eos_token_id` is a number, a list of numbers, or not there."""
    value = optional_json(path).get("eos_token_id")
    tokens = [token for token in (value if isinstance(value, list) else [value]) if isinstance(token, int)]
    if any(not 0 <= token < count for token in tokens):
        raise BadModel(f"{path}: 'eos_token_id' is {str(value)[:60]}, but there are {count} tokens")
    return tokens


def stop_tokens(engine: tokenizers.Tokenizer, said: Iterable[int]) -> tuple[int, ...]:
    special = {
        added.content: token for token, added in engine.get_added_tokens_decoder().items() if added.special
    }
    return tuple(sorted({*said} | {special[name] for name in ENDS if name in special}))


def first_token(engine: tokenizers.Tokenizer) -> int | None:
    """What the tokenizer puts before every text."""
    whole = engine.encode("a", add_special_tokens=True).ids
    bare = engine.encode("a", add_special_tokens=False).ids
    return int(whole[0]) if whole and whole != bare and whole[-len(bare) :] == bare else None
