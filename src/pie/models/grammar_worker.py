"""A process that checks grammars by compiling them: `python -m pie.models.grammar_worker`.

Compiling foreign grammars may take seconds and gigabytes, and nothing in it can be interrupted: so it happens
where a limit on memory holds and the process can be killed. Messages go over standard input and output, each
after its length (four bytes, little-endian), in msgpack.
"""

import os
import resource
import sys
import time
from struct import Struct
from typing import BinaryIO

import msgspec

from pie.core.errors import PieError
from pie.core.grammar import GrammarKind
from pie.models.grammar import GrammarVocabulary

LENGTH = Struct("<I")
MOST_BYTES = 2 << 30
"""Address space of the process."""


class Beginning(msgspec.Struct, array_like=True):
    """The first message: what a model's tokens are."""

    tokens: list[bytes]
    special: dict[int, str]
    stop_tokens: list[int]
    seconds: float
    """Of processor time that one grammar may take: the driver will take as long."""


class Request(msgspec.Struct, array_like=True):
    kind: GrammarKind
    text: str


class Answer(msgspec.Struct, array_like=True):
    """`error`: name of a `PieError`; empty where the grammar is good."""

    error: str
    message: str


def packed(message: Beginning | Request | Answer) -> bytes:
    data = msgspec.msgpack.encode(message)
    return LENGTH.pack(len(data)) + data


def read(stream: BinaryIO) -> bytes | None:
    """One message; None at the end."""
    header = stream.read(LENGTH.size)
    return stream.read(*LENGTH.unpack(header)) if len(header) == LENGTH.size else None


def say(stream: BinaryIO, answer: Answer) -> None:
    stream.write(packed(answer))
    stream.flush()


def check(vocabulary: GrammarVocabulary, request: Request, seconds: float) -> Answer:
    began = time.process_time()
    try:
        vocabulary.compile(request.kind, request.text)
    except PieError as error:
        return Answer(type(error).__name__, str(error))
    if time.process_time() - began > seconds:
        return Answer("LimitExceeded", f"the grammar is too involved: compiling takes over {seconds:g} s")
    return Answer("", "")


def main() -> int:
    os.nice(5)
    resource.setrlimit(resource.RLIMIT_AS, (MOST_BYTES, MOST_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    source, out = sys.stdin.buffer, sys.stdout.buffer
    told = msgspec.msgpack.decode(read(source) or b"", type=Beginning)
    try:
        vocabulary = GrammarVocabulary(told.tokens, told.special, told.stop_tokens)
    except PieError as error:
        say(out, Answer(type(error).__name__, str(error)))
        return 1
    say(out, Answer("", ""))
    while (data := read(source)) is not None:
        say(out, check(vocabulary, msgspec.msgpack.decode(data, type=Request), told.seconds))
    return 0


if __name__ == "__main__":
    sys.exit(main())
