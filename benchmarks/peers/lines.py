"""How `peers.py` talks to an engine's process: a JSON object a line, requests on stdin, answers on stdout.

    {"wave": [[token, ...], ...], "tokens": 64, "way": "stream"}
        all prompts at once, greedily, nothing ends them early; other ways than "stream" are Pie's
        -> {"arrivals": [[seconds, ...], ...]}: of each prompt's tokens, from the start of the wave
    {"score": [[token, ...], ...], "from": 512}
        -> {"nll": 2.9}: mean negative log-likelihood of the tokens behind place `from` of each text, or null
           where the engine gives no such numbers

The first answer is {"ready": name and version}. This file runs in every peer's environment: standard library
only.
"""

import json
import os
import sys
import time
import traceback
from collections.abc import Sequence
from typing import Any, Protocol

Tokens = Sequence[int]
Prompts = Sequence[Tokens]


class Engine(Protocol):
    version: str

    def wave(self, prompts: Prompts, tokens: int, way: str) -> list[list[float]]: ...

    def score(self, windows: Prompts, start: int) -> float | None: ...


class Arrivals:
    """When each token of each stream came, in seconds from the moment when this was made."""

    def __init__(self, streams: int) -> None:
        self.times: list[list[float]] = [[] for _ in range(streams)]
        self._began = time.perf_counter()

    def add(self, stream: int, count: int = 1) -> None:
        self.times[stream] += [time.perf_counter() - self._began] * count


class Lines:
    """The real standard output; whatever an engine prints goes to standard error instead."""

    def __init__(self) -> None:
        self._out = os.fdopen(os.dup(1), "w")
        os.dup2(2, 1)

    def answer(self, value: dict[str, Any]) -> None:
        self._out.write(json.dumps(value) + "\n")
        self._out.flush()


def respond(engine: Engine, request: dict[str, Any]) -> dict[str, Any]:
    try:
        if "score" in request:
            return {"nll": engine.score(request["score"], request["from"])}
        return {"arrivals": engine.wave(request["wave"], request["tokens"], request["way"])}
    except Exception as error:
        traceback.print_exc()
        return {"error": f"{type(error).__name__}: {error}"}


def serve(lines: Lines, engine: Engine) -> None:
    lines.answer({"ready": engine.version})
    for line in sys.stdin:
        lines.answer(respond(engine, json.loads(line)))
