"""Kernels are built once, on the user's machine; without a compiler everything still runs."""

import logging
from dataclasses import replace
from pathlib import Path

import pytest

from pie.core.errors import Unavailable
from pie.core.progress import NoProgress
from pie.inference.engine import Opener
from pie.inference.kernels import build
from pie.inference.kernels.build import Builder, NoKernels, find_compiler
from pie.inference.kernels.library import Kernels
from pie.inference.settings import InferenceSettings
from pie.models import StoredModel

SETTINGS = InferenceSettings(page_size=8, pages=4, embs=8, threads=1)


def script(folder: Path, text: str) -> str:
    path = folder / "compiler"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


def test_what_a_compiler_says_stands_in_the_error(tmp_path: Path) -> None:
    builder = Builder(tmp_path / "kernels", script(tmp_path, "echo 'no such flag' >&2; exit 3"))
    with pytest.raises(NoKernels, match="exit code 3: no such flag"):
        builder.build(NoProgress())
    assert list((tmp_path / "kernels").iterdir()) == []


def test_a_compiler_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    builder = Builder(tmp_path / "kernels", script(tmp_path, "exec sleep 60"), seconds=0.1)
    with pytest.raises(NoKernels, match=r"longer than 0\.1 s"):
        builder.build(NoProgress())


def test_a_machine_without_compiler_is_told_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    with pytest.raises(NoKernels, match=r"no C\+\+ compiler was found.*install"):
        find_compiler()


def test_what_was_built_is_found_again(tmp_path: Path) -> None:
    make = 'while [ "$1" != -o ]; do shift; done; echo built > "$2"'
    builder = Builder(tmp_path / "kernels", script(tmp_path, make))
    library = builder.build(NoProgress())
    assert library.read_text() == "built\n"
    script(tmp_path, "exit 1")
    assert builder.build(NoProgress()) == library


def test_a_damaged_library_is_built_again(tmp_path: Path) -> None:
    make = 'while [ "$1" != -o ]; do shift; done; echo built > "$2"'
    builder = Builder(tmp_path / "kernels", script(tmp_path, make))
    library = builder.build(NoProgress())
    library.write_text("bui")
    assert builder.build(NoProgress()).read_text() == "built\n"
    assert [path.name for path in (tmp_path / "kernels").iterdir()] == [library.parent.name]


def test_other_sources_have_another_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    builder = Builder(tmp_path)
    before = builder.key("c++")
    assert builder.key("c++") == before
    monkeypatch.setattr(build, "sources", lambda: [("kernels.cpp", "int main() {}")])
    assert builder.key("c++") != before


def test_a_file_that_is_no_library_is_an_error_that_says_so(tmp_path: Path) -> None:
    path = tmp_path / "kernels.so"
    path.write_text("nothing")
    with pytest.raises(NoKernels, match="cannot load"):
        Kernels(path, threads=1)


def opener(model: StoredModel, settings: InferenceSettings, folder: Path) -> Opener:
    return Opener(model, model.config, settings, folder / "prepared", NoProgress())


def test_without_kernels_the_model_runs_in_torch_with_one_warning(
    tiny_model: StoredModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("CXX", script(tmp_path, "exit 1"))
    engine = opener(tiny_model, SETTINGS, tmp_path).open()
    assert "torch" in engine.precision or "fp32" in engine.precision
    assert engine.pages.precision == "fp32"
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "plain torch" in caplog.text


@pytest.mark.parametrize("field", ["precision", "kv_precision"])
def test_an_unknown_precision_is_refused(tiny_model: StoredModel, tmp_path: Path, field: str) -> None:
    settings = replace(SETTINGS, kernels="torch", **{field: "quantum"})
    with pytest.raises(Unavailable, match=f"{field} 'quantum' is not offered"):
        opener(tiny_model, settings, tmp_path).open()


def test_what_only_kernels_can_do_is_refused_without_them(tiny_model: StoredModel, tmp_path: Path) -> None:
    for field, value in (("precision", "int4"), ("kv_precision", "int8")):
        settings = replace(SETTINGS, kernels="torch", **{field: value})
        with pytest.raises(Unavailable, match=f"{field} '{value}' needs the compiled kernels"):
            opener(tiny_model, settings, tmp_path).open()


def test_auto_says_what_it_took_and_why(
    tiny_model: StoredModel, tmp_path: Path, kernels_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = replace(SETTINGS, kernels_folder=str(kernels_folder))
    with caplog.at_level(logging.INFO):
        engine = opener(tiny_model, settings, tmp_path).open()
    assert engine.precision.startswith("int8 (the model's weights have more than 4 bits")
    assert engine.precision.endswith("pages in int8")
    assert engine.precision in caplog.text
