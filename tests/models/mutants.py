"""Seeded mutations of sound GGUF and safetensors files. Each says whether what it makes must be refused."""

import json
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import cycle, islice
from pathlib import Path
from random import Random
from typing import Any

import gguf

HUGE = (2**31 - 1, 2**31, 2**32, 2**40, 2**61, 2**63 - 1, 2**63, 2**64 - 1)
ALIGNMENT = 32


@dataclass(frozen=True)
class Mutant:
    kind: str
    wrong: bool
    """False: perhaps it hit a byte that no one needs to be right, such as one of the model's name."""
    data: bytes


@dataclass(frozen=True)
class Tensor:
    name: bytes
    sizes: tuple[int, ...]
    kind: int
    offset: int

    def encode(self) -> bytes:
        sizes = struct.pack(f"<I{len(self.sizes)}Q", len(self.sizes), *self.sizes)
        return text(self.name) + sizes + struct.pack("<IQ", self.kind, self.offset)


@dataclass(frozen=True)
class Gguf:
    """A GGUF file in parts that can be exchanged. `fields`: a value's type and bytes, by its key."""

    fields: dict[bytes, bytes]
    tensors: tuple[Tensor, ...]
    data: bytes
    more_fields: tuple[bytes, ...] = field(default=())
    tensor_count: int | None = None
    field_count: int | None = None

    def encode(self) -> bytes:
        fields = [text(key) + value for key, value in self.fields.items()] + list(self.more_fields)
        counts = (
            len(self.tensors) if self.tensor_count is None else self.tensor_count,
            len(fields) if self.field_count is None else self.field_count,
        )
        head = b"GGUF" + struct.pack("<IQQ", 3, *counts) + b"".join(fields)
        head += b"".join(tensor.encode() for tensor in self.tensors)
        return head + bytes(-len(head) % ALIGNMENT) + self.data

    def with_tensor(self, random: Random, **changes: Any) -> "Gguf":
        index = random.randrange(len(self.tensors))
        changed = list(self.tensors)
        changed[index] = replace(changed[index], **changes)
        return replace(self, tensors=tuple(changed))

    def with_field(self, key: bytes, value: bytes) -> "Gguf":
        return replace(self, fields={**self.fields, key: value})


def text(value: bytes) -> bytes:
    return struct.pack("<Q", len(value)) + value


def number(value: int) -> bytes:
    """A field's value of type u64."""
    return struct.pack("<IQ", 10, value)


def string(value: bytes) -> bytes:
    return struct.pack("<I", 8) + text(value)


def open_gguf(path: Path) -> Gguf:
    reader = gguf.GGUFReader(path)
    fields = {
        bytes(entry.parts[1]): b"".join(part.tobytes() for part in entry.parts[2:])
        for key, entry in reader.fields.items()
        if not key.startswith("GGUF.")
    }
    start = min(tensor.data_offset for tensor in reader.tensors)
    tensors = tuple(
        Tensor(
            tensor.name.encode(),
            tuple(int(size) for size in tensor.shape),
            int(tensor.tensor_type),
            tensor.data_offset - start,
        )
        for tensor in reader.tensors
    )
    return Gguf(fields, tensors, path.read_bytes()[start:])


def flipped(data: bytes, head: int, random: Random) -> bytes:
    changed = bytearray(data)
    for _ in range(random.choice((1, 1, 2, 8, 64))):
        changed[random.randrange(head)] ^= 1 << random.randrange(8)
    return bytes(changed)


def overwritten(data: bytes, head: int, random: Random) -> bytes:
    """Eight bytes become a number that cannot be counted to."""
    start = random.randrange(head - 8)
    return data[:start] + struct.pack("<Q", random.choice(HUGE)) + data[start + 8 :]


def spliced(data: bytes, head: int, random: Random) -> bytes:
    """A piece is taken out, or put in a second time."""
    first, last = sorted(random.randrange(head) for _ in range(2))
    return data[:first] + random.choice((b"", 2 * data[first:last])) + data[last:]


def cut(data: bytes, random: Random) -> bytes:
    return data[: random.randrange(len(data))]


def is_needed(key: bytes) -> bool:
    return key in (
        b"general.architecture",
        b"llama.block_count",
        b"llama.embedding_length",
        b"llama.feed_forward_length",
        b"llama.attention.head_count",
        b"llama.context_length",
        b"llama.attention.layer_norm_rms_epsilon",
        b"tokenizer.ggml.model",
        b"tokenizer.ggml.pre",
        b"tokenizer.ggml.tokens",
        b"tokenizer.ggml.merges",
    )


def needed_key(file: Gguf, random: Random) -> bytes:
    return random.choice([key for key in file.fields if is_needed(key)])


def nested(random: Random) -> bytes:
    depth = random.choice((2, 3, 100, 2000))
    return struct.pack("<I", 9) + struct.pack("<IQ", 9, 1) * depth + struct.pack("<IQ", 4, 0)


def of_wrong_type(random: Random) -> bytes:
    return random.choice(
        (struct.pack("<I?", 7, True), struct.pack("<IIQ", 9, 4, 0), struct.pack("<If", 6, 1.5))
    )


def long_array(random: Random) -> bytes:
    kind = random.choice((0, 4, 5, 6, 7, 8, 10, 12))
    return struct.pack("<IIQ", 9, kind, random.choice(HUGE)) + bytes(64)


def no_utf8(random: Random) -> bytes:
    return random.choice((b"\xff\xfe", b"a\x80", b"\xc3", b"\xed\xa0\x80", b"\xf5\x80\x80\x80"))


def without(file: Gguf, random: Random) -> Gguf:
    gone = needed_key(file, random)
    return replace(file, fields={key: value for key, value in file.fields.items() if key != gone})


def overlapping(file: Gguf, random: Random) -> Gguf:
    first, second = random.sample(file.tensors, 2)
    moved = tuple(replace(t, offset=second.offset) if t is first else t for t in file.tensors)
    return replace(file, tensors=moved)


def special_beyond(file: Gguf, random: Random) -> Gguf:
    name = random.choice((b"bos", b"eos", b"eot", b"eom", b"unknown", b"padding"))
    return file.with_field(b"tokenizer.ggml." + name + b"_token_id", number(random.choice((275, 320, *HUGE))))


def wrong_vocabulary(file: Gguf, random: Random) -> Gguf:
    """More tokens than the embedding has rows, or so few that it is another model's."""
    texts = [b"a", b"b", b"ab", *(f"t{n}".encode() for n in range(random.choice((0, 100, 321, 1000))))]
    values = {
        b"tokenizer.ggml.tokens": struct.pack("<IIQ", 9, 8, len(texts)) + b"".join(map(text, texts)),
        b"tokenizer.ggml.merges": struct.pack("<IIQ", 9, 8, 1) + text(b"a b"),
        b"tokenizer.ggml.token_type": struct.pack("<IIQ", 9, 5, len(texts))
        + struct.pack("<i", 1) * len(texts),
    }
    return replace(file, fields={**file.fields, **values})


def unknown_names(file: Gguf, random: Random) -> Gguf:
    key = random.choice((b"general.architecture", b"tokenizer.ggml.model", b"tokenizer.ggml.pre"))
    return file.with_field(key, string(random.choice((b"", b"mamba", b"rwkv7", b"x" * 5000, "Δ".encode()))))


def impossible_size(file: Gguf, random: Random) -> Gguf:
    keys = [key for key in file.fields if key.startswith(b"llama.") and is_needed(key)]
    return file.with_field(random.choice(keys), number(random.choice((0, *HUGE))))


GGUF_WRONG: dict[str, Callable[[Gguf, Random], Gguf]] = {
    "huge tensor count": lambda file, random: replace(file, tensor_count=random.choice(HUGE)),
    "huge field count": lambda file, random: replace(file, field_count=random.choice(HUGE)),
    "nested array": lambda file, random: file.with_field(needed_key(file, random), nested(random)),
    "long array": lambda file, random: file.with_field(needed_key(file, random), long_array(random)),
    "long string": lambda file, random: file.with_field(
        needed_key(file, random), struct.pack("<IQ", 8, random.choice(HUGE)) + bytes(8)
    ),
    "wrong type": lambda file, random: file.with_field(
        random.choice((b"llama.block_count", b"general.architecture", b"tokenizer.ggml.tokens")),
        of_wrong_type(random),
    ),
    "unknown type": lambda file, random: file.with_field(
        needed_key(file, random), struct.pack("<IQ", random.randrange(13, 2**32), 0)
    ),
    "twice the same key": lambda file, random: replace(
        file, more_fields=(text(needed_key(file, random)) + number(1),)
    ),
    "key that is no text": lambda file, random: file.with_field(no_utf8(random), number(1)),
    "text that is no text": lambda file, random: file.with_field(
        needed_key(file, random), string(no_utf8(random))
    ),
    "missing key": without,
    "impossible size": impossible_size,
    "unknown names": unknown_names,
    "special token beyond": special_beyond,
    "tokenizer that does not fit": wrong_vocabulary,
    "offset past the end": lambda file, random: file.with_tensor(
        random, offset=random.choice((len(file.data), *HUGE))
    ),
    "dimension of a lie": lambda file, random: file.with_tensor(
        random, sizes=tuple(random.choice((0, 33, *HUGE)) for _ in range(random.randint(1, 4)))
    ),
    "many dimensions": lambda file, random: file.with_tensor(
        random, sizes=(1,) * random.choice((5, 64, 9999))
    ),
    "tensor of an unknown type": lambda file, random: file.with_tensor(
        random, kind=random.choice((4, 5, 9, 10, 16, 24, 39, 40, 255, 2**32 - 1))
    ),
    "tensor's name that is no text": lambda file, random: file.with_tensor(random, name=no_utf8(random)),
    "tensor of another name": lambda file, random: file.with_tensor(random, name=b"blk.0.unknown.weight"),
    "twice the same tensor": lambda file, random: replace(
        file, tensors=(*file.tensors, random.choice(file.tensors))
    ),
    "overlapping tensors": overlapping,
}


def encoded(change: Callable[[Gguf, Random], Gguf], file: Gguf, random: Random) -> bytes:
    return change(file, random).encode()


def gguf_mutants(path: Path, seed: int, count: int) -> Iterator[Mutant]:
    random, parts, whole = Random(seed), open_gguf(path), path.read_bytes()
    head = len(whole) - len(parts.data)
    kinds: list[tuple[str, bool, Callable[[], bytes]]] = [
        (name, True, partial(encoded, change, parts, random)) for name, change in GGUF_WRONG.items()
    ]
    kinds += common_kinds(whole, head, random)
    yield from (Mutant(name, wrong, make()) for name, wrong, make in islice(cycle(kinds), count))


def common_kinds(whole: bytes, head: int, random: Random) -> list[tuple[str, bool, Callable[[], bytes]]]:
    """Bytes that know nothing of the format."""
    kinds: list[tuple[str, bool, Callable[[], bytes]]] = [
        ("bit flips", False, lambda: flipped(whole, head, random)),
        ("bit flips at the beginning", False, lambda: flipped(whole, min(head, 200), random)),
        ("huge number somewhere", False, lambda: overwritten(whole, head, random)),
        ("piece missing or doubled", False, lambda: spliced(whole, head, random)),
    ]
    return kinds + [("truncated", True, lambda: cut(whole, random))] * 3


Header = dict[str, Any]


@dataclass(frozen=True)
class Safetensors:
    header: Header
    data: bytes

    def encode(self) -> bytes:
        return self.around(json.dumps(self.header).encode())

    def around(self, header: bytes, length: int | None = None) -> bytes:
        return struct.pack("<Q", len(header) if length is None else length) + header + self.data

    def names(self) -> list[str]:
        return [name for name in self.header if name != "__metadata__"]

    def changed(self, random: Random, **values: object) -> bytes:
        name = random.choice(self.names())
        return replace(self, header={**self.header, name: {**self.header[name], **values}}).encode()


def open_safetensors(path: Path) -> Safetensors:
    whole = path.read_bytes()
    length = int.from_bytes(whole[:8], "little")
    return Safetensors(json.loads(whole[8 : 8 + length]), whole[8 + length :])


def lying_offsets(random: Random, end: int) -> list[object]:
    huge = random.choice(HUGE)
    return random.choice(
        ([0, huge], [huge, huge], [-4, 4], [8, 0], [0, end + 4], [0], [0, 4, 8], [0.5, 4], ["0", "4"])
    )


def lying_shape(random: Random) -> object:
    huge = random.choice(HUGE)
    return random.choice(([huge], [huge, huge], [-1, -1], [0], [1] * 1000, "four", None, [[4]], [1.5], 4, {}))


def same_place(file: Safetensors, random: Random) -> bytes:
    names = file.names()
    first, second = random.choice(
        [(a, b) for a in names for b in names if a < b and file.header[a]["shape"] == file.header[b]["shape"]]
    )
    return replace(file, header={**file.header, first: file.header[second]}).encode()


def doubled_name(file: Safetensors, random: Random) -> bytes:
    first, second = random.sample(file.names(), 2)
    return file.encode().replace(json.dumps(first).encode(), json.dumps(second).encode(), 1)


def deep_json(file: Safetensors, random: Random) -> bytes:
    depth = random.choice((10, 1000, 100_000))
    name = random.choice(file.names())
    bracket = random.choice(("[", '{"a":'))
    return file.around(f'{{"{name}": {bracket * depth}'.encode())


def foreign_json(file: Safetensors, random: Random) -> bytes:
    return file.around(
        random.choice((b"", b"[]", b"1", b"null", b'"text"', b"{}", b'{"a":1}', b"{", b"\x00" * 64))
    )


def no_text_in_json(file: Safetensors, random: Random) -> bytes:
    header = json.dumps(file.header).encode()
    start = random.randrange(len(header))
    return file.around(header[:start] + no_utf8(random) + header[start:])


SAFETENSORS_WRONG: dict[str, Callable[[Safetensors, Random], bytes]] = {
    "huge header length": lambda file, random: file.around(b"{}", random.choice(HUGE)),
    "short header length": lambda file, random: file.around(
        json.dumps(file.header).encode(), random.randrange(900)
    ),
    "lying offsets": lambda file, random: file.changed(
        random, data_offsets=lying_offsets(random, len(file.data))
    ),
    "lying shape": lambda file, random: file.changed(random, shape=lying_shape(random)),
    "unknown type": lambda file, random: file.changed(
        random, dtype=random.choice(("F8_E4M3", "I64", "F64", "", "f32", "F" * 5000, None, 3, ["F32"]))
    ),
    "overlapping tensors": same_place,
    "twice the same tensor": doubled_name,
    "nesting": deep_json,
    "other JSON": foreign_json,
    "no text": no_text_in_json,
    "entry that is none": lambda file, random: replace(
        file,
        header={**file.header, random.choice(file.names()): random.choice((3, None, [], "F32", {}, 1e308))},
    ).encode(),
    "missing tensor": lambda file, random: replace(
        file, header=dict(random.sample(sorted(file.header.items()), len(file.header) - 2))
    ).encode(),
    "bytes of nobody": lambda file, random: replace(
        file, data=file.data + bytes(random.randint(1, 999))
    ).encode(),
}


def safetensors_mutants(path: Path, seed: int, count: int) -> Iterator[Mutant]:
    random, parts, whole = Random(seed), open_safetensors(path), path.read_bytes()
    kinds: list[tuple[str, bool, Callable[[], bytes]]] = [
        (name, True, partial(change, parts, random)) for name, change in SAFETENSORS_WRONG.items()
    ]
    kinds += common_kinds(whole, len(whole) - len(parts.data), random)
    yield from (Mutant(name, wrong, make()) for name, wrong, make in islice(cycle(kinds), count))
