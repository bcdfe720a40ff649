"""From fetched weights to a complete model folder: everything is read and checked once, here, so that a
start later only opens what is known to be sound."""

import hashlib
from pathlib import Path

import tokenizers

from pie.core.errors import BadModel
from pie.models.config import LlamaConfig
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


def prepare(fetched: Fetched, name: str, source: str, workspace: Path) -> None:
    """Fills `workspace` with the derived files and the manifest. Raises `BadModel` for what is unusable."""
    if fetched.format == "gguf":
        config, details, engine = examine_gguf(fetched, workspace)
    else:
        config, details, engine = examine_folder(fetched, workspace)
    write_vocabulary(workspace / VOCABULARY, make_vocabulary(source, engine, config.vocabulary_size))
    engine.save(str(workspace / TOKENIZER), pretty=False)
    digest = digest_of(fetched.files)
    manifest = Manifest(LAYOUT, name, source, fetched.format, digest, list(fetched.files), config, details)
    write_manifest(workspace, manifest)


def examine_gguf(fetched: Fetched, workspace: Path) -> tuple[LlamaConfig, Details, tokenizers.Tokenizer]:
    path = workspace / fetched.files[0].path
    file = read_gguf(path)
    config = gguf_config(file)
    gguf_weights(path, config)
    engine = gguf_tokenizer(file)
    return config, gguf_details(file, engine, fetched.version), engine


def examine_folder(fetched: Fetched, workspace: Path) -> tuple[LlamaConfig, Details, tokenizers.Tokenizer]:
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
    try:
        engine = tokenizers.Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises plain exceptions
        raise BadModel(f"{path} is damaged: {error}") from error
    engine.no_truncation()
    engine.no_padding()
    return engine


def digest_of(files: tuple[WeightFile, ...]) -> str:
    """One file is named by its own SHA-256, several by the SHA-256 of theirs."""
    if len(files) == 1:
        return files[0].sha256
    return hashlib.sha256("\n".join(file.sha256 for file in files).encode()).hexdigest()
