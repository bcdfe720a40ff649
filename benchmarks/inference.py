"""What does a pass of the driver cost, where does its time go, and what does each precision cost in quality?

Pass times for each precision, compiled and in plain torch; the share of a decode pass outside products and
attention; bytes a second in the products against the machine's copy bandwidth; cost against cached length;
perplexity and divergence from fp32.
"""

import os
import statistics
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from harness import Options, Report, finish, options
from quality import Reference, text, windows
from tables import show_times

from pie.core.commands import SamplingSpec
from pie.core.progress import NoProgress
from pie.inference.compiled import CompiledLlama
from pie.inference.early import base_environment
from pie.inference.executor import ModelExecutor
from pie.inference.packed_product import PackedProduct
from pie.inference.settings import InferenceSettings
from pie.inference.storage import PageStorage
from pie.models import DEFAULT_SOURCE, ModelStore, StoredModel, load_tokenizer
from pie.settings import Settings
from pie.testing.passes import PassBuilder

THREADS = 2
CACHED = 192
"""Tokens of each stream while batch sizes are compared."""
BATCHES = (1, 8, 32, 128)
LENGTHS = (128, 1024, 8192)
COPY_BYTES = 256 << 20


@dataclass(frozen=True, slots=True)
class Way:
    """A precision on one of the two paths."""

    precision: str
    kernels: str = "auto"

    @property
    def name(self) -> str:
        return self.precision if self.kernels == "auto" else f"{self.precision}, torch"


QUICK = (Way("auto"), Way("int8"), Way("fp32"), Way("int8", "torch"), Way("fp32", "torch"))
ALL = (*QUICK, Way("bf16"))


class Bench:
    """One driver with `streams` streams of `cached` tokens in its pages."""

    def __init__(self, model: StoredModel, way: Way, streams: int, cached: int) -> None:
        self.streams = streams
        self.cached = cached
        self._each = cached // 16 + 1
        settings = InferenceSettings(
            pages=streams * self._each,
            embs=2048,
            threads=THREADS,
            precision=way.precision,
            kernels=way.kernels,  # type: ignore[arg-type]
        )
        self.executor = ModelExecutor(model, settings)
        fill(self.executor.engine.pages, self._each)
        builder = PassBuilder()
        for stream in range(streams):
            builder.embed([100 + stream], [self.cached], [stream])
            builder.forward([stream], [], outputs={0: stream}).sample(stream, stream, SamplingSpec())
        self._run(builder)

    def decode(self, batch: int) -> float:
        """Seconds of one pass that decodes one token greedily for each of `batch` streams, from the token of
        the pass before to the next one, as `generate` does."""
        builder = PassBuilder()
        for stream in range(batch):
            pages = range(stream * self._each, (stream + 1) * self._each)
            builder.embed_slot([stream], [self.cached], [stream])
            builder.forward([stream], pages, outputs={0: stream}).sample(stream, stream, SamplingSpec())
        return self._run(builder)

    def prefill(self, tokens: int) -> float:
        """Seconds of one pass that reads a prompt."""
        places = range(tokens)
        builder = PassBuilder().embed([7 * i % 40000 for i in places], places, places)
        builder.forward(places, [], outputs={tokens - 1: 0}).dist(0, top_k=1)
        return self._run(builder)

    def _run(self, builder: PassBuilder) -> float:
        work = builder.build()
        started = time.perf_counter()
        result = self.executor.execute(work)
        seconds = time.perf_counter() - started
        if result.error:
            raise RuntimeError(result.error)
        return seconds

    def kinds(self) -> tuple[float, float, float]:
        """Seconds so far in products, attention and the rest of the layers."""
        model = self.executor.engine.model
        return model.times() if isinstance(model, CompiledLlama) else (0.0, 0.0, 0.0)


def fill(pages: PageStorage, each: int) -> None:
    """Random numbers in every slot; `each` pages are one stream's."""
    slots = np.arange(pages.pages * pages.page_size, dtype=np.int32)
    pages.positions[:] = slots % (each * pages.page_size)
    rows, device = pages.row_index(slots), pages.device
    keys, values = np.random.default_rng(1).standard_normal(
        (2, len(slots), pages.kv_heads * pages.head_dim), np.float32
    )
    for layer in range(pages.layers):
        pages.write(layer, rows, device.sent(keys), device.sent(values))


@dataclass(slots=True)
class Series:
    """Passes of one way and batch."""

    wall: list[float] = field(default_factory=list)
    processor: list[float] = field(default_factory=list)
    kinds: list[tuple[float, ...]] = field(default_factory=list)

    def add(self, bench: Bench, batch: int) -> None:
        before, started = bench.kinds(), time.process_time()
        self.wall.append(bench.decode(batch))
        self.processor.append(time.process_time() - started)
        self.kinds.append(tuple(now - then for now, then in zip(bench.kinds(), before, strict=True)))

    def figures(self) -> dict[str, Any]:
        """The shares are those of the quickest pass: the one that was disturbed least."""
        best = min(range(len(self.wall)), key=self.wall.__getitem__)
        products, attention, _ = self.kinds[best]
        return {
            "median_ms": median_ms(self.wall),
            "min_ms": min(self.wall) * 1e3,
            "processor_ms": median_ms(self.processor),
            "product_ms": products * 1e3,
            "attention_ms": attention * 1e3,
            "share_outside": 1 - (products + attention) / self.wall[best] if products else None,
        }


def measure_batches(report: Report, model: StoredModel, ways: tuple[Way, ...], repeats: int) -> None:
    """All ways by turns, so that what else the machine does hits all alike."""
    benches = {way: Bench(model, way, max(BATCHES), CACHED) for way in ways}
    for batch in BATCHES:
        series = {way: Series() for way in ways}
        for _ in range(repeats if batch < 32 else max(3, repeats // 3)):
            for way, bench in benches.items():
                series[way].add(bench, batch)
        for way, bench in benches.items():
            chosen = bench.executor.engine.precision
            about = {"kind": "decode", "way": way.name, "chosen": chosen, "batch": batch, "cached": CACHED}
            report.runs.append(about | series[way].figures())
    for way, bench in benches.items():
        prompt = median_ms([bench.prefill(128) for _ in range(3)])
        report.runs.append({"kind": "prefill", "way": way.name, "tokens": 128, "median_ms": prompt})


def measure_lengths(report: Report, model: StoredModel, way: Way, repeats: int) -> None:
    for cached in LENGTHS:
        bench = Bench(model, way, 1, cached)
        times = [bench.decode(1) for _ in range(repeats)]
        report.runs.append(
            {
                "kind": "length",
                "way": way.name,
                "cached": cached,
                "median_ms": median_ms(times),
                "bytes_per_token": bench.executor.engine.pages.page_bytes / 16,
            }
        )


def measure_quality(report: Report, model: StoredModel, ways: tuple[Way, ...], count: int) -> None:
    texts = windows(load_tokenizer(model).encode(text()), count)
    reference = Reference(Bench(model, Way("fp32", "torch"), 1, 16).executor.engine, texts)
    for way in ways:
        engine = Bench(model, way, 1, 16).executor.engine
        found = reference.compare(engine)
        report.runs.append(
            {
                "kind": "quality",
                "way": way.name,
                "chosen": engine.precision,
                "tokens": sum(len(tokens) - 1 for tokens in texts),
                "perplexity": found.perplexity,
                "divergence": found.divergence,
            }
        )


def copy_bandwidth() -> float:
    """Bytes read and written a second, all threads: the best of some."""
    source, target = torch.ones(2, COPY_BYTES, dtype=torch.uint8)
    best = 0.0
    for _ in range(5):
        started = time.perf_counter()
        target.copy_(source)
        best = max(best, 2 * COPY_BYTES / (time.perf_counter() - started))
    return best


def weight_bytes(model: StoredModel, way: Way) -> int:
    """What the products of one pass read."""
    compiled = Bench(model, way, 1, 16).executor.engine.model
    if not isinstance(compiled, CompiledLlama):
        return 0
    weights = compiled.weights
    products = [weights.head]
    for layer in weights.layers:
        products += layer.qkv, layer.out, layer.gate_up, layer.down
    return sum(product.bytes for product in products if isinstance(product, PackedProduct))


def median_ms(seconds: list[float]) -> float:
    return statistics.median(seconds) * 1e3


def only(report: Report, **wanted: Any) -> dict[str, Any]:
    (found,) = (run for run in report.runs if all(run.get(k) == v for k, v in wanted.items()))
    return found


def judge(report: Report, model: StoredModel, best: Way) -> None:
    bandwidth = copy_bandwidth()
    one, many = (only(report, kind="decode", way=best.name, batch=batch) for batch in (1, 32))
    reading = weight_bytes(model, best) / (one["product_ms"] / 1e3)
    report.runs.append(
        {"kind": "bandwidth", "copy_gb_s": bandwidth / 1e9, "products_gb_s": reading / 1e9, "way": best.name}
    )
    report.require("share outside products and attention, batch 1", one["share_outside"], at_most=0.25)
    report.require("share outside products and attention, batch 32", many["share_outside"], at_most=0.15)
    if report.options.quick:
        return  # the text is too short to judge quality by
    full = only(report, kind="quality", way="fp32")["perplexity"]
    change = only(report, kind="quality", way=best.name)["perplexity"] / full - 1
    report.require("auto: perplexity above fp32's", change, at_most=0.01)


def main(given: Options) -> int:
    torch.manual_seed(given.seed)
    report = Report("inference", given, {"threads": THREADS, "cached": CACHED})
    model = ModelStore(home()).pull(DEFAULT_SOURCE, NoProgress())
    ways = QUICK if given.quick else ALL
    best = QUICK[0]
    measure_batches(report, model, ways, 5 if given.quick else 15)
    measure_lengths(report, model, best, 3 if given.quick else 15)
    measure_quality(report, model, (Way("fp32"), best) if given.quick else ways, 1 if given.quick else 9)
    judge(report, model, best)
    show_times(report)
    return finish(report)


def home() -> Path:
    defaults: dict[str, Any] = {}
    return Settings(**defaults).home


def as_a_driver() -> None:
    """With the environment of a driver's process: OpenMP reads it when torch is imported."""
    if "OMP_WAIT_POLICY" not in os.environ:
        environment = {**base_environment(), "OMP_NUM_THREADS": str(THREADS)}
        os.execve(sys.executable, [sys.executable, *sys.argv], environment)


if __name__ == "__main__":
    as_a_driver()
    sys.exit(main(options(__doc__)))
