"""Random calls from within a sandbox: any value of the contract's types, through the real marshalling."""

import json

from bench import Bench

from pie.core.events import Failed, Finished
from pie.core.programs import Launch, Limits, Source

CALLS = 1500
PROGRAM = """
import dataclasses
import enum
import json
import random
import types
import typing

from componentize_py_types import Err
from inferlet import raw
from wit_world import imports
from wit_world.imports import (
    allocate, constrain, forward, futures, http, input_image, input_text, introspect, output_text, runtime,
    sample, score, spawning, store, tokenize, topics,
)

MODULES = (
    allocate, constrain, forward, futures, http, input_image, input_text, introspect, output_text, runtime,
    sample, score, spawning, store, tokenize, topics,
)
LEFT_OUT = {"wait", "wait_any", "take_tokens", "take_logprobs", "take_stats", "poll"}
# They may wait for ever, and an unknown future ends whoever polls it.
TEXTS = ["", "fake", "a", "w\\u00f6rd", "x" * 5000, "\\0", "[a-z]", "http://127.0.0.1:1/"]
NUMBERS = [0, 0, 0, 1, 1, 2, 3, 7, 16, 255]


def functions():
    for module in MODULES:
        for name, found in vars(module).items():
            if isinstance(found, types.FunctionType) and found.__module__ == module.__name__:
                if name not in LEFT_OUT:
                    yield f"{module.__name__.rpartition('.')[2]}.{name}", found


def value(kind, dice):
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        return value(dice.choice(inner), dice)
    if origin is list:
        return [value(inner[0], dice) for _ in range(dice.choice((0, 1, 1, 2, 3, 40)))]
    if kind is int:
        return dice.choice(NUMBERS)
    if kind is float:
        return dice.choice((0.0, 0.5, 1.0, -1.0, 1e30, float("nan"), float("inf")))
    if kind is str:
        return dice.choice(TEXTS)
    if kind is bytes:
        return dice.randbytes(dice.choice((0, 1, 100)))
    if kind is bool:
        return dice.random() < 0.5
    if kind in (None, type(None)):
        return None
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return dice.choice(list(kind))
    if dataclasses.is_dataclass(kind):
        hints = typing.get_type_hints(kind)
        return kind(**{name: value(hints[name], dice) for name in hints})
    raise TypeError(f"no value for {kind!r}")


def main(seed: int, calls: int):
    dice, known = random.Random(seed), sorted(dict(functions()).items())
    queue = raw.create_queue("fake")
    raw.alloc_kvpage(queue, range(4))
    raw.alloc_emb(queue, range(4))
    fine, refused, silent = set(), set(), []
    for _ in range(calls):
        name, function = dice.choice(known)
        hints = typing.get_type_hints(function)
        hints.pop("return", None)
        try:
            function(*[value(kind, dice) for kind in hints.values()])
            fine.add(name)
        except Err as error:
            refused.add(name)
            if len(error.value.message) < 8 or error.value.kind.name == "INTERNAL":
                silent.append(f"{name}: {error.value.kind.name} {error.value.message}")
        if dice.random() < 0.05:
            futures.drop(list(range(5000)))
            raw.reset_queue(queue)
    return {"known": len(known), "fine": sorted(fine), "refused": sorted(refused), "silent": silent}
"""
GREEDY = """
from inferlet import Context

async def main(prompt: str, max_tokens: int):
    with Context() as context:
        context.fill(prompt)
        await context.generate(max_tokens, stop_tokens=())
        return context.tokens
"""
NEIGHBOUR = Launch(Source(GREEDY, "neighbour.py"), ("--prompt", "abc", "--max-tokens", "200"))


async def test_random_values_are_answered_or_refused_with_a_reason_and_a_neighbour_does_not_notice(
    bench: Bench,
) -> None:
    expected = await bench.application.launch(NEIGHBOUR).wait()
    args = ("--seed", "1", "--calls", str(CALLS))
    limits = Limits(calls_in_flight=256, children=4)
    fuzzer = bench.application.launch(Launch(Source(PROGRAM, "fuzzer.py"), args, limits))
    neighbour = bench.application.launch(NEIGHBOUR)
    ended = await fuzzer.wait()
    assert isinstance(ended, Finished), ended
    found = json.loads(ended.result)
    assert found["silent"] == []
    assert len({*found["fine"], *found["refused"]}) > found["known"] * 0.95
    assert not isinstance(expected, Failed)
    assert await neighbour.wait() == expected
