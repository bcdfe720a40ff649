"""Greedy decoding through masks, dropped pages, copies and forks equals a dense run that sees the same."""

from pathlib import Path

import pytest
from greedy_programs import Operation, worst_miss, write_program
from transformers import LlamaForCausalLM

from pie.control import Control, ControlSettings, Session
from pie.core.commands import (
    AllocEmbs,
    AllocPages,
    Command,
    CopyPages,
    EmbedText,
    ForkPages,
    Forward,
    FreePages,
    MaskPage,
    NextDist,
    Span,
)
from pie.core.ids import InstanceId, VirtualEmb
from pie.core.programs import Limits
from pie.core.progress import NoProgress
from pie.inference.executor import ModelExecutor
from pie.inference.settings import InferenceSettings
from pie.models import ModelStore, StoredModel, load_tokenizer, model_info
from pie.models.tiny import TINY, write_tiny_llama
from pie.testing import FakeDriver, ManualClock, Recorder

SIZE = 8
SETTINGS = InferenceSettings(
    page_size=SIZE, pages=256, embs=256, threads=1, precision="fp32", kernels="torch"
)
TIE = 1e-4
STEPS = 60
OUT = VirtualEmb(200)


class Machine:
    """A program in a session of its own, executed one operation at a time."""

    def __init__(self, control: Control, name: str, model: str) -> None:
        self.session: Session = control.open(InstanceId(name), Limits())
        self.queue = self.session.create_queue(model)
        self.recorder = Recorder()
        self.found: list[int] = []
        self._branches = [0]
        self._waiting: int | None = None
        self._submit(AllocEmbs([VirtualEmb(i) for i in range(OUT + 1)]))

    def execute(self, operation: Operation) -> None:
        name, *values = operation
        getattr(self, name)(*values)

    def finish(self) -> None:
        """Takes the answer of a "run"; the control layer has been pumped."""
        if self._waiting is not None:
            token = self.recorder.dist(str(len(self.found))).tokens[0]
            self.found.append(token)
            self._branches[self._waiting], self._waiting = token, None

    def alloc(self, pages: list[int]) -> None:
        self._submit(AllocPages(pages))  # type: ignore[arg-type]

    def free(self, pages: list[int]) -> None:
        self._submit(FreePages(pages))  # type: ignore[arg-type]

    def branch(self, parent: int) -> None:
        self._branches.append(self._branches[parent])

    def fork(self, src: list[int], dst: list[int]) -> None:
        self._submit(ForkPages(src, dst))  # type: ignore[arg-type]

    def copy(self, src: list[int], dst: list[int], spans: list[list[int]]) -> None:
        self._submit(CopyPages(src, dst, [Span(*span) for span in spans]))  # type: ignore[arg-type]

    def mask(self, page: int, bits: int) -> None:
        self._submit(MaskPage(page, bits))  # type: ignore[arg-type]

    def run(
        self,
        branch: int,
        tokens: list[int] | None,
        positions: list[int],
        ikv: list[int],
        okv: list[int],
        offset: int,
        mask: list[list[int]] | None,
    ) -> None:
        inputs = self._branches[branch : branch + 1] if tokens is None else tokens
        embs = [VirtualEmb(i) for i in range(len(inputs))]
        self._submit(EmbedText(inputs, positions, embs))  # type: ignore[arg-type]
        self._submit(Forward(ikv, embs, okv, offset, [OUT], (), mask))  # type: ignore[arg-type]
        completion = self.recorder.completion(str(len(self.found)))
        self.session.submit(self.queue, NextDist(OUT, 1, ()), completion)
        self._waiting = branch

    def _submit(self, command: Command) -> None:
        self.session.submit(self.queue, command)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_llama(tmp_path_factory.mktemp("greedy") / "tiny")


@pytest.fixture(scope="module")
def stored(folder: Path) -> StoredModel:
    return ModelStore(folder.parent / "home").pull(str(folder), NoProgress())


@pytest.fixture(scope="module")
def oracle(folder: Path) -> LlamaForCausalLM:
    return LlamaForCausalLM.from_pretrained(folder).eval()


def run_together(stored: StoredModel, programs: list[list[Operation]]) -> list[Machine]:
    """So that they share passes."""
    control = Control(ControlSettings(), ManualClock())
    driver = FakeDriver(ModelExecutor(stored, SETTINGS))
    control.add_model(model_info(stored, SIZE), driver, load_tokenizer(stored))
    machines = [Machine(control, f"program {i}", stored.name) for i in range(len(programs))]
    for turn in range(max(map(len, programs))):
        busy = [pair for pair in zip(machines, programs, strict=True) if turn < len(pair[1])]
        for machine, program in busy:
            machine.execute(program[turn])
        control.pump()
        for machine, _ in busy:
            machine.finish()
    control.check_integrity()
    return machines


def write_programs(seed: int) -> list[list[Operation]]:
    return [write_program(3 * seed + i, SIZE, TINY.vocabulary_size, STEPS) for i in range(3)]


@pytest.mark.parametrize("seed", range(6))
def test_random_programs_find_the_tokens_of_a_dense_run(
    stored: StoredModel, oracle: LlamaForCausalLM, seed: int
) -> None:
    programs = write_programs(seed)
    for machine, program in zip(run_together(stored, programs), programs, strict=True):
        assert len(machine.found) > STEPS // 4
        assert worst_miss(oracle, program, machine.found, SIZE) < TIE


@pytest.mark.parametrize("left_out", ["mask", "copy"])
def test_the_reference_notices_what_is_left_out(
    stored: StoredModel, oracle: LlamaForCausalLM, left_out: str
) -> None:
    programs = write_programs(0)
    machines = run_together(stored, [[o for o in program if o[0] != left_out] for program in programs])
    pairs = zip(programs, machines, strict=True)
    assert max(worst_miss(oracle, program, machine.found, SIZE) for program, machine in pairs) > 0.1
