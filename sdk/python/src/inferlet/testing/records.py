"""Records, enums and variants of the contract, as componentize-py's bindings name them."""

from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple


class HintAnswer(Enum):
    ACCEPTED = 0
    CLIPPED = 1
    DEFERRED = 2
    REJECTED = 3


class GrammarKind(Enum):
    JSON_SCHEMA = 0
    REGEX = 1
    LARK = 2


@dataclass
class Lifetime_WithMe:
    pass


@dataclass
class Lifetime_Lease:
    value: float


@dataclass
class Program_Named:
    value: str


@dataclass
class Program_Source:
    value: str


@dataclass
class Program_Myself:
    pass


@dataclass
class Program_Function:
    value: str


class Exported(NamedTuple):
    name: str
    pages: int
    bytes: int
    about: "Bytes"
    seconds_left: float | None
    readers: int


class MatcherState(NamedTuple):
    accepting: bool
    stopped: bool
    forced: list[int]


class Header(NamedTuple):
    name: str
    value: str


class Response(NamedTuple):
    status: int
    url: str
    headers: list[Header]
    body: str
    """One character for each byte."""


Bytes = bytes
