"""`pie replay`: one line about a record."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from pie.cli.app import app
from pie.cli.replay import told
from pie.control import ControlSettings
from pie.control.record_file import BadRecord, Kind, RecordWriter
from pie.control.recording import RecordedControl
from pie.control.replay_parts import NoWords
from pie.control.replaying import Replayed
from pie.core.commands import Synchronize
from pie.core.errors import NotFound
from pie.core.ids import InstanceId
from pie.core.programs import Limits
from pie.testing import FakeDriver, FakeExecutor, ManualClock, fake_model, fake_spec


def invoke(*args: str) -> Any:
    return CliRunner().invoke(app, ["replay", *args])


@pytest.fixture
def record(tmp_path: Path) -> Path:
    control = RecordedControl(ControlSettings(), ManualClock(), RecordWriter(tmp_path / "r.pie", 1 << 20))
    control.add_model(fake_model(fake_spec()), FakeDriver(FakeExecutor(fake_spec())), NoWords())
    session = control.open(InstanceId("a"), Limits())
    session.submit(session.create_queue(control.models()[0].name), Synchronize())
    control.pump()
    session.close()
    control.tape.close()
    return tmp_path / "r.pie"


def test_the_same_decisions_are_said_to_be_the_same(record: Path) -> None:
    result = invoke(str(record))
    assert (result.exit_code, result.output.startswith("same decisions: 0 passes, 6 stimuli in")) == (0, True)
    assert json.loads(invoke(str(record), "--json").output)["stimuli"] == 6


def test_a_record_that_breaks_off_is_told_with_what_was_the_same_until_there(record: Path) -> None:
    writer = RecordWriter(record, 1 << 20)
    writer.write([Kind.HEADER, {"settings": {}, "commands": [], "columns": []}])
    writer.flush()
    writer.close()
    content = record.read_bytes()
    record.write_bytes(content[:-1])
    result = invoke(str(record))
    assert result.exit_code == 1
    assert result.output.startswith("same decisions: 0 passes, and then ")
    assert "breaks off at byte" in result.output
    record.write_bytes(content[:20])
    assert isinstance(invoke(str(record)).exception, BadRecord)


def test_what_is_no_record_or_no_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("PIE but no record")
    assert isinstance(invoke(str(tmp_path / "text")).exception, BadRecord)
    assert isinstance(invoke(str(tmp_path / "nothing")).exception, NotFound)


def test_a_difference_is_told_in_one_line() -> None:
    assert told(Replayed(3, 9, 1.0, "at 1.0 s: it is", False)) == "first difference at 1.0 s: it is"
    assert told(Replayed(3, 9, 1.0, "", True)).endswith("as large as it might be")
