"""What enters a control layer is recorded, and leads to the same passes again."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast
from unittest.mock import ANY

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_programs import RandomPrograms
from world import NoTokenizer, World

from pie.control import Control, ControlSettings, Session
from pie.control.exports import TenantExports
from pie.control.record_file import BadRecord, Kind, RecordWriter, read_record
from pie.control.recording import RecordedControl, RecordedSession
from pie.control.replaying import Replayed, replay
from pie.core.clock import Clock
from pie.core.driver import DriverSpec
from pie.core.errors import InvalidArgument
from pie.testing import fake_model

PLENTY = 1 << 30


class RecordedWorld(World):
    """A world whose control layer is recorded."""

    def __init__(self, path: Path, *about: Any, most_bytes: int = PLENTY, **more: Any) -> None:
        self.path = path
        self.most_bytes = most_bytes
        super().__init__(*about, **more)

    def make_control(self, settings: ControlSettings, clock: Clock) -> Control:
        return RecordedControl(settings, clock, RecordWriter(self.path, self.most_bytes))

    def end(self) -> Replayed:
        assert isinstance(self.control, RecordedControl)
        self.control.tape.close()
        return replay(read_record(self.path))


class SeenExports:
    """As programs call them, so that it is recorded; `names` is for the test to look at."""

    def __init__(self, session: Session, real: TenantExports) -> None:
        exports = session.exports("fake")
        self.find, self.unexport, self.names = exports.find, exports.unexport, real.names


class RecordedPrograms(RandomPrograms):
    @property
    def tenant(self) -> TenantExports:
        return cast(TenantExports, SeenExports(self.inferlets[0].program.session, super().tenant))

    def __init__(self, path: Path, seed: int) -> None:
        self.path = path
        super().__init__(seed)

    def make_world(self, settings: ControlSettings, spec: DriverSpec) -> World:
        return RecordedWorld(self.path, settings, spec, auto=False)


def make_record(path: Path) -> int:
    """Some programs; how many passes they took."""
    world = RecordedWorld(path, auto=False)
    for name in ("a", "b"):
        program = world.program(name)
        program.prefill([1, 2, 3], [0, 1, 2], name)
        world.run()
        program.embed([4], [3], [0])
        program.forward([0], [0], [0], 3, [1])
        program.decode(4, [0, 1, 2], 5, f"{name} runs")
        world.run()
    assert isinstance(world.control, RecordedControl)
    world.control.tape.close()
    return len(world.passes)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), steps=st.integers(1, 80))
def test_random_programs_are_decided_the_same_way_again(
    tmp_path_factory: pytest.TempPathFactory, seed: int, steps: int
) -> None:
    path = tmp_path_factory.mktemp("record") / "random.pie"
    programs = RecordedPrograms(path, seed)
    programs.run(steps)
    assert isinstance(programs.world, RecordedWorld)
    result = programs.world.end()
    assert (result.difference, result.broken) == ("", "")
    assert result.passes == len(programs.world.passes)


def test_a_driver_that_answers_inside_submit_is_replayed_too(tmp_path: Path) -> None:
    world = RecordedWorld(tmp_path / "r")
    program = world.program()
    program.prefill([1, 2, 3], [0], "a")
    world.run()
    assert world.end() == Replayed(len(world.passes), ANY, ANY, "", full=False)


def test_other_settings_show_where_decisions_begin_to_differ(tmp_path: Path) -> None:
    make_record(tmp_path / "r")
    result = replay(read_record(tmp_path / "r"), ControlSettings(fuse=False))
    assert result.passes == 0
    assert "pass 1 is another one" in result.difference


def test_a_pass_that_comes_earlier_or_later_is_a_difference(tmp_path: Path) -> None:
    passes = make_record(tmp_path / "r")
    later = replay(read_record(tmp_path / "r"), ControlSettings(policy="t-only", t_ms=50))
    assert "the replay does nothing more at this stimulus; the record has pass 1" in later.difference
    events = [event for event in read_record(tmp_path / "r") if event[0] != Kind.PASS or event[2] != passes]
    assert f"the replay sends pass {passes}" in replay(events).difference


def test_a_record_that_breaks_off_says_where_and_what_was_the_same_before(tmp_path: Path) -> None:
    path = tmp_path / "r"
    passes = make_record(path)
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    result = replay(read_record(path)) if _has_header(path) else None
    assert result is None or "breaks off at byte" in result.broken
    events = list(read_record_of(tmp_path, whole))
    cut = replay(iter(events[: len(events) // 2]))
    assert 0 < cut.passes < passes
    assert (cut.difference, cut.broken) == ("", "the record breaks off")


def read_record_of(folder: Path, whole: bytes) -> Iterator[list[Any]]:
    path = folder / "copy"
    path.write_bytes(whole)
    return read_record(path)


def _has_header(path: Path) -> bool:
    try:
        return next(read_record(path))[0] == Kind.HEADER
    except BadRecord:
        return False


@settings(max_examples=80, deadline=None)
@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7), cut=st.booleans())
def test_a_damaged_file_gives_one_clear_line(
    tmp_path_factory: pytest.TempPathFactory, place: float, bit: int, cut: bool
) -> None:
    path = tmp_path_factory.mktemp("record") / "damaged.pie"
    make_record(path)
    content = bytearray(path.read_bytes())
    spot = int(place * len(content))
    if cut:
        del content[spot:]
    else:
        content[spot] ^= 1 << bit
    path.write_bytes(content)
    try:
        said = replay(read_record(path)).broken
    except BadRecord as error:
        said = str(error)
    assert str(path) in said
    assert "\n" not in said


def test_a_record_is_bounded_and_programs_do_not_notice(tmp_path: Path) -> None:
    path = tmp_path / "r"
    world = RecordedWorld(path, auto=False, most_bytes=2000)
    program = world.program()
    program.prefill([1, 2, 3], [0, 1], "first")
    for step in range(40):
        world.run()
        world.clock.advance(2)
        program.embed([step], [3], [0])
        program.forward([0], [0, 1], [1], 0, [1])
        program.dist(1, f"answer {step}")
    world.run()
    assert world.recorder["answer 39"].error is None
    result = world.end()
    assert (result.full, result.difference, result.broken) == (True, "", "")
    assert 0 < result.passes < len(world.passes)
    assert path.stat().st_size < 2000 + (64 << 10)


def test_texts_are_not_recorded(tmp_path: Path) -> None:
    make_record(tmp_path / "r")
    header = next(read_record(tmp_path / "r"))[1]
    assert header["settings"]["policy"] == "adaptive"
    models = [event for event in read_record(tmp_path / "r") if event[0] == Kind.MODEL]
    assert models[0][2]["chat_template"] == models[0][2]["description"] == ""


def test_a_file_that_cannot_be_written_is_said_before_anything_starts(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match="cannot be written"):
        RecordWriter(tmp_path / "no" / "record", PLENTY)


READS = {"model_of", "adapters", "describe", "usage", "glance", "charge_pages"}
"""Of a session: they change nothing that decisions depend on."""


def test_every_public_call_of_a_session_is_recorded_or_only_reads() -> None:
    calls = {name for name, value in vars(Session).items() if callable(value) and name[0] != "_"}
    recorded = {name for name in vars(RecordedSession) if name[0] != "_"}
    assert calls - recorded - READS == set()


def test_every_public_call_of_the_control_layer_is_recorded_or_only_reads() -> None:
    reads = {"models", "model", "tokenizer", "statistics", "check_integrity", "driver_works"}
    calls = {name for name, value in vars(Control).items() if callable(value) and name[0] != "_"}
    recorded = {name for name in vars(RecordedControl) if name[0] != "_"}
    assert calls - recorded - reads == set()


def test_the_fake_model_of_these_tests_is_recorded_with_its_driver(tmp_path: Path) -> None:
    world = RecordedWorld(tmp_path / "r")
    with pytest.raises(Exception, match="served already"):
        world.control.add_model(fake_model(world.spec), world.driver, NoTokenizer())
    assert world.end().difference == ""
