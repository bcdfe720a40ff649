"""The default model in the formats that peers read, made from its own file: `python make_models.py FOLDER`.

    q8_0.gguf, q4_0.gguf   every matrix requantised from the file's weights, the embedding in Q8_0
    q4_1.gguf              the file itself
    fp32/                  a Hugging Face folder with the file's weights as they stand, in fp32
    w8a8/                  the same, int8 by rounding to nearest: a scale for each output of a weight and for
                           each token, as `compressed-tensors` describes it

Run with Pie's own interpreter. What is there already stays.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gguf
import numpy as np
from gguf import GGMLQuantizationType, GGUFReader, GGUFWriter, ReaderTensor
from safetensors.numpy import save_file

from pie.core.progress import NoProgress
from pie.models import DEFAULT_SOURCE, ModelConfig, ModelStore, StoredModel
from pie.settings import default_home

Arrays = dict[str, np.ndarray[Any, Any]]
NAMES = {
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
    "attn_norm": "input_layernorm",
    "ffn_norm": "post_attention_layernorm",
}
FILE_TYPES = {
    GGMLQuantizationType.Q8_0: gguf.LlamaFileType.MOSTLY_Q8_0,
    GGMLQuantizationType.Q4_0: gguf.LlamaFileType.MOSTLY_Q4_0,
}
OUTER = {"token_embd": "model.embed_tokens.weight", "output_norm": "model.norm.weight"}
INT8 = {"num_bits": 8, "type": "int", "symmetric": True}
QUANTIZED = {
    "quant_method": "compressed-tensors",
    "format": "int-quantized",
    "quantization_status": "compressed",
    "ignore": ["lm_head"],
    "config_groups": {
        "group_0": {
            "targets": ["Linear"],
            "weights": INT8 | {"strategy": "channel", "dynamic": False},
            "input_activations": INT8 | {"strategy": "token", "dynamic": True},
        }
    },
}


def say(text: str) -> None:
    print(f"[peers] {text}", file=sys.stderr, flush=True)


def plain(tensor: ReaderTensor) -> np.ndarray[Any, Any]:
    """The values as float32, [outputs, inputs]."""
    return np.asarray(gguf.dequantize(tensor.data, tensor.tensor_type), dtype=np.float32)


def requantise(reader: GGUFReader, target: Path, kind: GGMLQuantizationType) -> None:
    """A copy of the file with its matrices in `kind`; vectors and everything else as they are."""
    part = target.with_suffix(".part")
    writer = GGUFWriter(part, "llama")
    copy_fields(reader, writer)
    writer.add_file_type(FILE_TYPES[kind])
    for tensor in reader.tensors:
        values = plain(tensor)
        used = kind if values.ndim > 1 else GGMLQuantizationType.F32
        used = GGMLQuantizationType.Q8_0 if tensor.name == "token_embd.weight" else used
        writer.add_tensor(tensor.name, gguf.quantize(values, used), raw_dtype=used)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    part.rename(target)


def copy_fields(reader: GGUFReader, writer: GGUFWriter) -> None:
    made = ("GGUF.", "general.architecture", "general.file_type")
    for name, field in reader.fields.items():
        if not name.startswith(made):
            of = field.types[-1] if len(field.types) > 1 else None
            writer.add_key_value(name, field.contents(), field.types[0], sub_type=of)


def hugging_face_tensors(
    reader: GGUFReader, config: ModelConfig
) -> Iterator[tuple[str, np.ndarray[Any, Any]]]:
    """Under the names and in the order of rows that Hugging Face's Llama has."""
    heads = {"attn_q": config.heads, "attn_k": config.kv_heads}
    for tensor in reader.tensors:
        values, parts = plain(tensor), tensor.name.split(".")
        if parts[0] == "blk":
            if parts[2] in heads:
                values = unpermute(values, heads[parts[2]])
            yield f"model.layers.{parts[1]}.{NAMES[parts[2]]}.weight", values
        else:
            yield OUTER[parts[0]], values


def unpermute(values: np.ndarray[Any, Any], heads: int) -> np.ndarray[Any, Any]:
    """GGUF interleaves the two halves that rotary embedding turns against each other."""
    rows, inputs = values.shape
    return values.reshape(heads, rows // heads // 2, 2, inputs).swapaxes(1, 2).reshape(rows, inputs).copy()


def to_int8(tensors: Arrays) -> Arrays:
    made = {}
    for name, values in tensors.items():
        if values.ndim < 2 or "embed" in name:
            made[name] = values
            continue
        scale = np.abs(values).max(axis=1, keepdims=True) / 127
        made[name] = np.rint(values / scale).astype(np.int8)
        made[name.replace("weight", "weight_scale")] = scale
    return made


def hugging_face_folder(model: StoredModel, tensors: Arrays, target: Path, **more: Any) -> None:
    part = target.with_suffix(".part")
    part.mkdir(exist_ok=True)
    save_file(tensors, part / "model.safetensors", {"format": "pt"})
    (part / "config.json").write_text(json.dumps(llama_config(model.config) | more, indent=1))
    (part / "tokenizer.json").write_bytes(model.tokenizer_path.read_bytes())
    (part / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "PreTrainedTokenizerFast"}))
    part.rename(target)


def llama_config(config: ModelConfig) -> dict[str, Any]:
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": config.hidden_size,
        "intermediate_size": config.intermediate_size,
        "num_hidden_layers": config.layers,
        "num_attention_heads": config.heads,
        "num_key_value_heads": config.kv_heads,
        "head_dim": config.head_dim,
        "vocab_size": config.vocabulary_size,
        "max_position_embeddings": config.context_length,
        "rope_theta": config.rope_theta,
        "rms_norm_eps": config.norm_eps,
        "tie_word_embeddings": True,
        "torch_dtype": "float32",
        "bos_token_id": 1,
        "eos_token_id": 2,
    }


def main(folder: Path) -> None:
    model = ModelStore(default_home()).pull(DEFAULT_SOURCE, NoProgress())
    folder.mkdir(parents=True, exist_ok=True)
    reader = GGUFReader(model.weight_paths[0])
    for name, kind in (("q8_0", GGMLQuantizationType.Q8_0), ("q4_0", GGMLQuantizationType.Q4_0)):
        if not (folder / f"{name}.gguf").exists():
            say(f"making {name}.gguf")
            requantise(reader, folder / f"{name}.gguf", kind)
    link = folder / "q4_1.gguf"
    if not link.exists():
        link.symlink_to(model.weight_paths[0])
    if not (folder / "w8a8").exists():
        say("making the folders fp32 and w8a8")
        tensors = dict(hugging_face_tensors(reader, model.config))
        if not (folder / "fp32").exists():
            hugging_face_folder(model, tensors, folder / "fp32")
        hugging_face_folder(model, to_int8(tensors), folder / "w8a8", quantization_config=QUANTIZED)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
