"""Random arguments for every parameter of the contract: mostly such as make sense, sometimes at the edges.

Ids come from small ranges, so that programs often hit what exists, what was freed, and what never was.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from types import MappingProxyType
from typing import Any

from pie.application.egress_requests import Header
from pie.core.commands import SamplingSpec

MODEL = "fake"
U32, U64 = 2**32 - 1, 2**64 - 1
WORDS = ("", "a", "topic", "wörd", "x" * 300, "\0", "name/of/it", "[]", '{"type": "integer"}', "[ab]+", "(")
URLS = (
    "http://127.0.0.1:1/",
    "https://example.org/x",
    "ftp://a/",
    "http://",
    "no",
    "http://[::1]:1/",
    "x" * 9000,
)
PROGRAMS = (
    ("myself", None),
    ("named", "hello"),
    ("named", "0" * 64),
    ("source", "x = ("),
    ("function", "main"),
)
NUMBERS = (0.0, 0.5, 1.0, -1.0, 2.0, 1e30, float("nan"), float("inf"), float("-inf"))


@dataclass(frozen=True, slots=True)
class Draw:
    """For one call: the dice, how long its lists are, and the ids that its program has."""

    random: Random
    count: int
    known: Mapping[str, Sequence[int]]
    """By kind: pages, embs, slots, matchers, futures, grammars, children, subscriptions."""


Make = Callable[[Draw], Any]


def small(draw: Draw) -> int:
    """An id that may be in use."""
    return draw.random.randrange(10)


def one(kind: str) -> Make:
    """Mostly an id that the program has; seldom one that cannot be."""

    def make(draw: Draw) -> int:
        known, dice = draw.known[kind], draw.random.random()
        if dice < 0.8 and known:
            return draw.random.choice(known)
        return small(draw) if dice < 0.98 else draw.random.choice((U32, 1 << 31, 10_000))

    return make


def some(kind: str) -> Make:
    """Mostly distinct ids that the program has; seldom empty, long, or with one twice."""
    single = one(kind)

    def make(draw: Draw) -> list[int]:
        known, dice = draw.known[kind], draw.random.random()
        if dice < 0.8 and len(known) >= draw.count:
            return draw.random.sample(known, draw.count)
        if dice < 0.997:
            return [single(draw) for _ in range(draw.random.randrange(4))]
        return list(range(draw.random.choice((300, 70_000))))

    return make


def fresh(kind: str) -> Make:
    """Mostly ids that are not in use."""
    other = some(kind)

    def make(draw: Draw) -> list[int]:
        free = [name for name in range(14) if name not in draw.known[kind]]
        if draw.random.random() < 0.8 and len(free) >= draw.count:
            return draw.random.sample(free, draw.count)
        return other(draw)

    return make


def length(draw: Draw) -> int:
    return draw.count if draw.random.random() < 0.95 else draw.random.randrange(5)


def tokens(draw: Draw) -> list[int]:
    return [draw.random.randrange(512 if draw.random.random() < 0.02 else 500) for _ in range(length(draw))]


def positions(draw: Draw) -> list[int]:
    most = 4095 if draw.random.random() < 0.97 else U32
    return [draw.random.choice((0, 1, 2, 5, most)) for _ in range(length(draw))]


def number(draw: Draw) -> int:
    return draw.random.choice((0, 1, 1, 2, 4, 8, 15, 16, 17, 100, 1 << 16, U32))


def word(draw: Draw) -> str:
    return draw.random.choice(WORDS)


def real(draw: Draw) -> float:
    return draw.random.choice(NUMBERS) if draw.random.random() < 0.1 else draw.random.random()


def mask(draw: Draw) -> list[list[int]] | None:
    random = draw.random
    if random.random() < 0.7:
        return None
    most = 16 if random.random() < 0.9 else U32
    rows = range(length(draw))
    return [[random.choice((0, 1, 2, most)) for _ in range(random.randrange(3))] for _ in rows]


def spec(draw: Draw) -> SamplingSpec:
    random = draw.random
    if random.random() < 0.4:
        return SamplingSpec(seed=random.randrange(9))
    penalty = 1.0 if random.random() < 0.7 else real(draw)
    return SamplingSpec(
        real(draw),
        real(draw),
        number(draw),
        real(draw),
        random.choice((0, 7, U64)),
        penalty,
        0.0,
        real(draw),
        tokens(draw),
        some("slots")(draw) if random.random() < 0.3 else [],
    )


def maybe(make: Make, share: float = 0.2) -> Make:
    return lambda draw: make(draw) if draw.random.random() < share else None


def one_of(*values: Any) -> Make:
    return lambda draw: draw.random.choice(values)


def blob(draw: Draw) -> bytes:
    return draw.random.randbytes(draw.random.choice((0, 1, 20, 3000)))


ARGUMENTS: Mapping[str, Make] = MappingProxyType(
    {
        "about": blob,
        "adapter": one_of("poet", "poet", "painter", ""),
        "add-generation-prompt": one_of(True, False),
        "args": one_of((), ("--n", "1"), ("x" * 100,) * 5000),
        "blob": blob,
        "body": one_of("", "body", "€"),
        "child": one("children"),
        "chunk": one_of(0, 1, 2, 100, U32),
        "count": one_of(0, 1, 2, 3, 5, 40, U32),
        "dist": one("futures"),
        "dst": some("pages"),
        "emb": one("embs"),
        "embs": some("embs"),
        "future": one("futures"),
        "futures": some("futures"),
        "grammar": one("grammars"),
        "headers": one_of((), (Header("a", "b"),), (Header("a\n", "b"),)),
        "height": number,
        "how": spec,
        "iemb": some("embs"),
        "ikv": some("pages"),
        "k": number,
        "key": word,
        "kind": one_of("json-schema", "regex", "lark"),
        "life": one_of(
            ("with-me", None), ("lease", 60.0), ("lease", 0.0), ("lease", float("nan")), ("lease", 1e300)
        ),
        "line": number,
        "mask": mask,
        "matcher": one("matchers"),
        "matchers": some("matchers"),
        "max-bytes": one_of(0, 0, 1, 10_000, U64),
        "messages": word,
        "model": one_of(*(MODEL,) * 9, "nobody's"),
        "ms": one_of(0, 1, 100_000, U64),
        "msg": word,
        "name": word,
        "oemb": lambda draw: some("embs")(draw)[:1],
        "offset": one_of(0, 0, 0, 1, 15, 16, U32),
        "okv": some("pages"),
        "okv-offset": one_of(0, 0, 0, 1, 15, 16, U32),
        "outputs": lambda draw: [] if draw.random.random() < 0.9 else [small(draw)],
        "page": one("pages"),
        "pages": some("pages"),
        "position": one_of(0, 1, 5, 4095, 4096),
        "positions": positions,
        "prefix": word,
        "priority": one_of(0, 1, -1, 2**31 - 1, -(2**31)),
        "program": one_of(*PROGRAMS),
        "queue": one_of(*(0,) * 20, *(1,) * 10, 7, U32),
        "run": one("futures"),
        "share": real,
        "slot": one("slots"),
        "slots": some("slots"),
        "spans": lambda draw: [(small(draw), small(draw), small(draw)) for _ in range(length(draw))],
        "spec": spec,
        "src": some("pages"),
        "stop": tokens,
        "subscription": one("subscriptions"),
        "targets": tokens,
        "text": word,
        "timeout-ms": one_of(0, 1),
        "to": one_of("stdout", "stderr"),
        "token": one_of(1, 5, 400, 508, 509, U32),
        "tokens": tokens,
        "top-k": one_of(0, 1, 5, 256, 509, 510),
        "topic": word,
        "ttl-ms": one_of(0, 10, U64),
        "url": one_of(*URLS),
        "value": word,
        "visible": one_of(0, 1, 0xFFFF, 0x10000, U32),
        "width": number,
    }
)
"""By the parameter's name in the WIT."""

SPECIAL: Mapping[str, Mapping[str, Make]] = MappingProxyType(
    {
        "runtime.send-blob": {"msg": blob},
        "spawning.send-blob-to-child": {"msg": blob},
        "sample.sample": {"matcher": maybe(one("matchers"))},
        "sample.decode-ahead": {
            "matcher": maybe(one("matchers")),
            "adapter": maybe(ARGUMENTS["adapter"]),
            "oemb": one("embs"),
        },
        "allocate.alloc-kvpage": {"pages": fresh("pages")},
        "allocate.alloc-emb": {"embs": fresh("embs")},
        "sample.alloc-slot": {"slots": fresh("slots")},
        "allocate.fork-kvpage": {"dst": fresh("pages")},
        "allocate.import-kvpage": {"pages": fresh("pages")},
        "constrain.new-matcher": {"matchers": fresh("matchers")},
        "constrain.fork-matcher": {"src": some("matchers"), "dst": fresh("matchers")},
    }
)
"""Where a parameter is another thing than elsewhere, by call."""


def arguments(call: str, names: tuple[str, ...], draw: Draw) -> list[Any]:
    """For one call, in the order of its parameters."""
    special = SPECIAL.get(call, {})
    return [(special.get(name) or ARGUMENTS[name])(draw) for name in names]
