"""From fetched weights to a complete model folder: everything is read and checked once, here, so that a
start later only opens what is known to be sound."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import tokenizers

from pie.core.errors import BadModel, PieError
from pie.models.config import ModelConfig
from pie.models.details import folder_details, gguf_details
from pie.models.gguf_config import gguf_config
from pie.models.gguf_file import read_gguf
from pie.models.gguf_tokenizer import gguf_tokenizer
from pie.models.hf_config import hf_config
from pie.models.sources import Fetched
from pie.models.stored import (
    LAYOUT,
    TOKENIZER,
    VOCABULARY,
    Details,
    Manifest,
    WeightFile,
    write_manifest,
)
from pie.models.vocabulary import make_vocabulary, write_vocabulary
from pie.models.weights import gguf_weights, safetensors_weights

MOST_TOKENIZER_BYTES = 128 << 20
REMEDY = "another copy of this model, another form of it (GGUF, safetensors), or another model"


def prepare(fetched: Fetched, name: str, source: str, workspace: Path) -> None:
    """Fills `workspace` with the derived files and the manifest. Raises `BadModel` for what is unusable."""
    try:
        config, details, engine = examine(fetched, workspace)
        vocabulary = make_vocabulary(str(tokenizer_file(fetched, workspace)), engine, config.vocabulary_size)
    except BadModel as error:
        raise BadModel(f"{error}. Nothing was stored; try {REMEDY}") from error
    write_vocabulary(workspace / VOCABULARY, vocabulary)
    engine.save(str(workspace / TOKENIZER), pretty=False)
    digest = digest_of(fetched.files)
    manifest = Manifest(LAYOUT, name, source, fetched.format, digest, list(fetched.files), config, details)
    write_manifest(workspace, manifest)


def examine(fetched: Fetched, workspace: Path) -> tuple[ModelConfig, Details, tokenizers.Tokenizer]:
    examiner = examine_gguf if fetched.format == "gguf" else examine_folder
    return examiner(fetched, workspace)


def tokenizer_file(fetched: Fetched, workspace: Path) -> Path:
    if fetched.format == "gguf":
        return workspace / fetched.files[0].path
    return fetched.folder / TOKENIZER


def examine_gguf(fetched: Fetched, workspace: Path) -> tuple[ModelConfig, Details, tokenizers.Tokenizer]:
    path = workspace / fetched.files[0].path
    file = read_gguf(path)
    config = gguf_config(file)
    gguf_weights(path, config)
    engine = sound_tokenizer(str(path), lambda: gguf_tokenizer(file))
    return config, gguf_details(file, engine, fetched.version), engine


def examine_folder(fetched: Fetched, workspace: Path) -> tuple[ModelConfig, Details, tokenizers.Tokenizer]:
    config = hf_config(fetched.folder / "config.json")
    safetensors_weights([workspace / file.path for file in fetched.files], config)
    engine = folder_tokenizer(fetched.folder / TOKENIZER)
    return config, folder_details(fetched.folder, engine, fetched.name, fetched.version), engine


def folder_tokenizer(path: Path) -> tokenizers.Tokenizer:
    """Without the truncation and padding that training left in it."""
    if not path.is_file():
        raise BadModel(f"{path} is missing; Pie needs the tokenizer in this form")
    if path.stat().st_size > MOST_TOKENIZER_BYTES:
        raise BadModel(f"{path} is longer than {MOST_TOKENIZER_BYTES >> 20} MiB")
    engine = sound_tokenizer(str(path), lambda: tokenizers.Tokenizer.from_file(str(path)))
    engine.no_truncation()
    engine.no_padding()
    return engine


def sound_tokenizer(origin: str, make: Callable[[], tokenizers.Tokenizer]) -> tokenizers.Tokenizer:
    """What `make` gives, tried once. The library raises plain exceptions; its panics are no `Exception`s."""
    try:
        engine = make()
        engine.encode("a")
    except PieError:
        raise
    except BaseException as error:
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        raise BadModel(f"{origin}: its tokenizer is damaged: {error}") from error
    return engine


def digest_of(files: tuple[WeightFile, ...]) -> str:
    """One file is named by its own SHA-256, several by the SHA-256 of theirs."""
    if len(files) == 1:
        return files[0].sha256
    return hashlib.sha256("\n".join(file.sha256 for file in files).encode()).hexdigest()
