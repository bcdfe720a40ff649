"""Adapters are named on the command line, in a variable or in the file."""

from pathlib import Path

import pytest

from pie.cli.adapters import read_adapters
from pie.cli.options import load_settings
from pie.cli.run import Order, check
from pie.core.errors import InvalidArgument
from pie.drivers import inference_settings


def test_options_become_folders_by_name() -> None:
    assert read_adapters(["a=x/y", "b=z=1"]) == {"a": "x/y", "b": "z=1"}
    assert read_adapters(None) is None


@pytest.mark.parametrize("given", ["a", "=x", "a="])
def test_what_is_no_pair_is_said(given: str) -> None:
    with pytest.raises(InvalidArgument, match="is not NAME=FOLDER"):
        read_adapters([given])


def test_the_driver_is_told_whole_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    settings = load_settings(adapters={"a": "x"})
    assert inference_settings(settings).adapters == (("a", str(tmp_path / "x")),)


def test_the_file_and_the_environment_name_them_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pie.toml").write_text('[adapters]\na = "x"\n')
    assert load_settings().adapters == {"a": Path("x")}
    monkeypatch.setenv("PIE_ADAPTERS", '{"b": "y"}')
    assert load_settings().adapters["b"] == Path("y")


def test_adapters_cannot_be_chosen_on_a_server() -> None:
    order = Order("hello", (), {}, False, {"a": "x"})
    with pytest.raises(InvalidArgument, match="--adapter is for programs that run here"):
        check(order, None, "http://127.0.0.1:8642")
