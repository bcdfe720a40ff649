"""Each thing a run needs is looked at and has a line."""

import asyncio
import json
import socket
import subprocess
import zlib
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from pie.cli import checks
from pie.cli.options import load_settings
from pie.settings import Settings
from pie.testing.serving import Served

Pie = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings(home=tmp_path / "home", port=0)


def levels(check: Callable[[Settings], object], settings: Settings) -> dict[str, str]:
    return {found.name: found.level for found in check(settings)}  # type: ignore[attr-defined]


def test_doctor_tells_all_at_once_as_text_and_as_json(pie: Pie) -> None:
    told = json.loads(pie("doctor", "--json").stdout)
    names = {"python", "wasmtime", "C library", "PIE_HOME", "disk", "model", "runner", "port", "memory"}
    assert names <= {line["name"] for line in told}
    assert all(line["todo"] for line in told if line["level"] != "ok")
    text = pie("doctor").stdout
    assert "→ pie setup" in text


def test_a_failing_check_gives_exit_code_1(pie: Pie) -> None:
    done = pie("doctor", PIE_HOME="/proc/nothing")
    assert done.returncode == 1
    assert "fail" in done.stdout


def test_a_wrong_version_of_a_pinned_package_fails(
    monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    monkeypatch.setattr(checks, "pinned_packages", lambda: [("wasmtime", "1.0.0"), ("no-such", "2")])
    found = list(checks.check_packages(settings))
    assert [check.level for check in found] == ["fail", "fail"]
    assert [check.todo for check in found] == ["pip install wasmtime==1.0.0", "pip install no-such==2"]


def test_a_device_that_cannot_be_used_fails_with_the_drivers_own_reason() -> None:
    (found,) = checks.check_device(load_settings(device="cuda:99"))
    assert found.level == "fail"
    assert found.text.startswith("device 'cuda:99' cannot be used: ")
    assert found.todo == "set PIE_DEVICE to cpu"


def test_a_full_disk_and_little_memory_are_told(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=1000))
    monkeypatch.setattr(checks, "memory_available", lambda: 1000)
    assert levels(checks.check_home, settings)["disk"] == "fail"
    assert levels(checks.check_machine, settings)["memory"] == "warn"


def test_a_missing_model_is_a_warning_and_a_damaged_one_a_failure(settings: Settings) -> None:
    assert levels(checks.check_model, settings) == {"model": "warn"}
    damaged = settings.home / "models" / settings.model
    damaged.mkdir(parents=True)
    (damaged / "model.json").write_text("{")
    assert [check.level for check in checks.check_model(settings)] == ["fail"]


def test_compiled_code_that_others_could_write_is_a_failure(settings: Settings) -> None:
    assert levels(checks.check_caches, settings) == {"runner": "warn"}
    folder = settings.home / "compiled"
    folder.mkdir(parents=True, mode=0o700)
    assert levels(checks.check_caches, settings) == {"runner": "ok"}
    folder.chmod(0o777)
    assert levels(checks.check_caches, settings) == {"runner": "fail"}


def test_damaged_machine_code_is_found(settings: Settings) -> None:
    folder = settings.home / "compiled"
    folder.mkdir(parents=True, mode=0o700)
    (folder / "good.cwasm").write_bytes(b"code")
    (folder / "good.crc32").write_text(f"{zlib.crc32(b'code'):08x}")
    (folder / "bad.cwasm").write_bytes(b"c0de")
    (folder / "bad.crc32").write_text(f"{zlib.crc32(b'code'):08x}")
    found = [check for check in checks.check_caches(settings) if check.level != "ok"]
    assert [("bad.cwasm is damaged" in check.text, check.level) for check in found] == [(True, "warn")]


def test_a_port_taken_by_another_program_is_a_warning(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        settings = load_settings(home=tmp_path, port=other.getsockname()[1])
        assert levels(checks.check_port, settings) == {"port": "warn"}


async def test_a_port_taken_by_our_own_server_is_fine(served: Served, tmp_path: Path) -> None:
    settings = load_settings(home=tmp_path, port=int(served.url.rpartition(":")[2]))
    found = await asyncio.to_thread(lambda: list(checks.check_port(settings)))
    assert [(check.level, "a Pie server" in check.text) for check in found] == [("ok", True)]
