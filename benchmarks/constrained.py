"""Is text that follows a JSON schema always valid, and what does following one cost?

Validity: for each of the 20 schemas in `schemas.json`, of growing nastiness, ten programs ask the default
model at temperature 1, each with a seed of its own, all at once. A reply counts as valid when it has ended or
was closed within its tokens, `json.loads` reads it and `jsonschema` finds that it fits.

Cost: wall time per token of programs that decode the same number of tokens at temperature 1 with a grammar
(an endless list of objects) and without, one program and 32, in turns. The clock starts when all have read
their prompts and compiled their grammar.
"""

import asyncio
import json
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harness import Options, Report, finish, options
from jsonschema import Draft202012Validator
from overhead import until_ready
from stack import local_stack, result_of, run

from pie.application.instance import Instance
from pie.core.programs import Launch, Limits, Source
from pie.launch import Stack

REPLY = """
from inferlet import Context, Grammar, temperature

async def main(prompt: str, schema: str, seed: int, max_tokens: int):
    with Context() as context:
        context.fill_chat([{"role": "user", "content": prompt + " Answer in JSON."}])
        grammar = Grammar.json_schema(schema)
        text = await context.generate(max_tokens, temperature(1.0, seed=seed), grammar=grammar)
        return {"text": text, "ended": context.stop_reason}
"""
DECODE = """
from inferlet import Context, Grammar, receive, send, temperature

async def main(prompt: str, schema: str, seed: int, max_tokens: int):
    with Context() as context:
        context.fill(prompt)
        await context.flush()
        grammar = Grammar.json_schema(schema) if schema else None
        if grammar is not None:
            await grammar.number(context.model)
        send("ready")
        await receive()
        await context.generate(max_tokens, temperature(1.0, seed=seed), stop_tokens=(), grammar=grammar)
        return str(len(context))
"""
ENDLESS = {
    "type": "array",
    "minItems": 5000,
    "items": {
        "type": "object",
        "properties": {
            "name": {"type": "string"},
            "age": {"type": "integer", "minimum": 0, "maximum": 120},
            "kind": {"enum": ["cat", "dog", "newt"]},
            "tags": {"type": "array", "items": {"type": "string"}, "minItems": 1},
        },
        "required": ["name", "age", "kind", "tags"],
        "additionalProperties": False,
    },
}
SCHEMAS: list[dict[str, Any]] = json.loads((Path(__file__).parent / "schemas.json").read_text())
MOST_TOKENS = 600
PROMPT = "A list of the animals that live in house number {}, in JSON:\n"
SLOW = Limits(cpu_seconds=60.0, wall_seconds=600.0)


def complaint(schema: dict[str, Any], reply: dict[str, str]) -> str:
    """Why a reply does not count; empty for a good one."""
    if reply["ended"] not in ("stop_token", "closed"):
        return f"cut off: {reply['ended']}"
    try:
        value = json.loads(reply["text"])
    except ValueError as error:
        return f"no JSON: {error}"
    checker = Draft202012Validator.FORMAT_CHECKER
    validator = Draft202012Validator(schema, format_checker=checker)
    return "; ".join(error.message for error in validator.iter_errors(value))


def words(options: Mapping[str, Any]) -> tuple[str, ...]:
    """As they stand on a command line."""
    return tuple(word for name, value in options.items() for word in (f"--{name}", str(value)))


async def ask(stack: Stack, entry: dict[str, Any], seed: int) -> dict[str, str]:
    schema = json.dumps(entry["schema"])
    given = {"prompt": entry["prompt"], "schema": schema, "seed": seed, "max-tokens": MOST_TOKENS}
    ended = await stack.application.launch(Launch(Source(REPLY, "reply.py"), words(given), SLOW)).wait()
    reply: dict[str, str] = json.loads(result_of(ended))
    return reply


async def measure_validity(report: Report, stack: Stack, each: int) -> None:
    entries = [(entry, report.options.seed * 1000 + n) for entry in SCHEMAS for n in range(each)]
    replies = await asyncio.gather(*(ask(stack, entry, seed) for entry, seed in entries))
    bad = []
    for (entry, seed), reply in zip(entries, replies, strict=True):
        why = complaint(entry["schema"], reply)
        if why:
            bad.append({"schema": entry["name"], "seed": seed, "why": why, "text": reply["text"][:300]})
    lengths = [len(reply["text"]) for reply in replies]
    closed = sum(reply["ended"] == "closed" for reply in replies)
    counts = {"replies": len(replies), "closed": closed, "characters": statistics.fmean(lengths)}
    report.runs.append({**counts, "bad": bad})
    report.require(f"invalid replies of {len(replies)}", len(bad), at_most=0)


async def decode(stack: Stack, schema: str, programs: int, tokens: int) -> float:
    """Wall seconds per token of one program."""

    def launch(n: int) -> Instance:
        given = {"prompt": PROMPT.format(n), "schema": schema, "seed": n, "max-tokens": tokens}
        return stack.application.launch(Launch(Source(DECODE, "decode.py"), words(given), SLOW))

    instances = [launch(n) for n in range(programs)]
    await asyncio.gather(*(until_ready(instance) for instance in instances))
    began = time.perf_counter()
    for instance in instances:
        instance.post("go")
    for ended in await asyncio.gather(*(instance.wait() for instance in instances)):
        result_of(ended)
    return (time.perf_counter() - began) / tokens


async def measure_cost(report: Report, stack: Stack, programs: int, tokens: int, turns: int) -> None:
    """Each turn is a pair; the ratio of a pair is least disturbed by what else the machine does."""
    schema, pairs = json.dumps(ENDLESS), []
    for schema_or_none in (schema, ""):
        await decode(stack, schema_or_none, programs, 8)
    for _ in range(turns):
        free = await decode(stack, "", programs, tokens)
        pairs.append((await decode(stack, schema, programs, tokens), free))
    ratio = statistics.median(bound / free for bound, free in pairs)
    report.runs.append({"programs": programs, "tokens": tokens, "ms_per_token": in_ms(pairs)})
    report.require(f"cost of a token with a grammar, {programs} at once", ratio, at_most=1.15)


def in_ms(pairs: Sequence[tuple[float, float]]) -> dict[str, list[float]]:
    bound, free = zip(*pairs, strict=True)
    return {"grammar": [1e3 * value for value in bound], "free": [1e3 * value for value in free]}


async def measure(report: Report) -> None:
    quick = report.options.quick
    async with local_stack() as stack:
        await measure_cost(report, stack, 1, 48 if quick else 256, 3 if quick else 7)
        await measure_cost(report, stack, 32, 24 if quick else 96, 3 if quick else 7)
        await measure_validity(report, stack, 1 if quick else 10)


def main(given: Options) -> int:
    report = Report("constrained", given, {"schemas": len(SCHEMAS), "most_tokens": MOST_TOKENS})
    run(measure(report))
    for entry in report.runs[-1]["bad"]:
        print(entry, file=sys.stderr)
    return finish(report)


if __name__ == "__main__":
    sys.exit(main(options(__doc__ or "")))
