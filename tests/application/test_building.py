"""Programs on their way into a component, as far as no component is built."""

import json
from pathlib import Path

import pytest
from sandbox import Sandbox

from pie.application.building import read_project
from pie.application.building.bundle import build, build_key, check_imports, lay_out, modules_in
from pie.application.building.imports import imports, missing, sandbox_modules
from pie.application.building.metadata import dependencies
from pie.application.building.project import parse
from pie.application.building.wheels import fetch
from pie.core.errors import BadProgram, NotFound
from pie.core.progress import NoProgress

SCRIPT = '# /// script\n# requires-python = ">=3.11"\n# dependencies = [\n#   "humanize>=4",\n# ]\n# ///\n'


def write(folder: Path, *empty: str, **files: str) -> Path:
    """Python files by name, empty ones first."""
    for name, text in {**dict.fromkeys(empty, ""), **files}.items():
        path = folder / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def test_a_script_block_names_the_packages() -> None:
    assert dependencies(SCRIPT + "import humanize\n", "x.py") == ("humanize>=4",)
    assert dependencies("print('no block')\n", "x.py") == ()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("# /// script\n# dependencies = 3\n# ///\n", "must be a list"),
        ("# /// script\n# dependencies = [\n# ///\n", "no TOML"),
        (SCRIPT + "\n" + SCRIPT, "2 blocks"),
    ],
)
def test_a_bad_script_block_is_told(text: str, why: str) -> None:
    with pytest.raises(BadProgram, match=why):
        dependencies(text, "x.py")


def test_the_main_file_of_a_folder_is_named_like_it_or_main_or_the_only_one(tmp_path: Path) -> None:
    named = write(tmp_path / "my-robot", my_robot="", other="", test_robot="")
    assert read_project(named).main.name == "my_robot.py"
    assert [name for name, _ in read_project(named).modules] == ["other"]
    assert read_project(write(tmp_path / "b", main="", other="")).main.name == "main.py"
    assert read_project(write(tmp_path / "c", single="")).main.name == "single.py"
    with pytest.raises(BadProgram, match="call the program main"):
        read_project(write(tmp_path / "d", one="", two=""))
    with pytest.raises(NotFound):
        read_project(tmp_path / "e")


def test_requirements_come_from_the_script_the_folder_and_the_command_line(tmp_path: Path) -> None:
    folder = write(tmp_path / "p", main=SCRIPT)
    (folder / "requirements.txt").write_text("# ours\nattrs==25.1  # fixed\ninferlet\n\n")
    assert read_project(folder, ("idna",)).requirements == ("humanize>=4", "attrs==25.1", "idna")
    (folder / "requirements.txt").write_text("-e .\n")
    with pytest.raises(BadProgram, match="-e"):
        read_project(folder)


def test_a_module_of_the_guest_itself_cannot_be_replaced(tmp_path: Path) -> None:
    with pytest.raises(BadProgram, match="call it something else"):
        read_project(write(tmp_path / "p", main="", runner=""))


def test_imports_in_a_try_or_for_types_only_may_be_missing() -> None:
    text = (
        "from typing import TYPE_CHECKING\nimport json, numpy\nif TYPE_CHECKING:\n    import pandas\n"
        "try:\n    import orjson\nexcept ImportError:\n    import ujson\nfrom . import beside\n"
        "from inferlet.raw import forward\nimport inferlet.nothing\n"
    )
    found = missing(imports(parse(text, "x.py")))
    assert [(each.line, each.module) for each in found] == [
        (2, "numpy"),
        (8, "ujson"),
        (11, "inferlet.nothing"),
    ]


def test_what_nothing_brings_is_refused_with_its_line(tmp_path: Path) -> None:
    project = read_project(write(tmp_path / "p", main="import helper\n\nimport requests\n", helper=""))
    with pytest.raises(BadProgram, match=r"main\.py, line 3: no module requests"):
        check_imports(project, ["helper"])
    check_imports(project, ["helper", "requests"])


def test_the_key_of_a_build_changes_with_its_content_and_only_with_it(tmp_path: Path) -> None:
    project = read_project(write(tmp_path / "p", "pack/__init__", "pack/part", main="import pack.part\n"))
    for name in "abc":
        (tmp_path / name).mkdir()
        lay_out(project, [name for name, _ in project.modules], tmp_path / name)
    assert build_key([tmp_path / "a"]) != build_key([tmp_path / "a", tmp_path / "p"])
    keys = []
    for name in "bc":
        (tmp_path / name).rename(tmp_path / "program")
        keys.append(build_key([tmp_path / "program"]))
        (tmp_path / "program").rename(tmp_path / f"{name}-done")
    assert keys[0] == keys[1]
    assert (tmp_path / "a" / "pack" / "__init__.py").exists()
    assert "'pack.part'" in (tmp_path / "a" / "bundle.py").read_text()


def test_packages_are_imported_without_their_tests(tmp_path: Path) -> None:
    write(tmp_path, "pack/__init__", "pack/part", "pack/tests/test_it", "single", "pack/no-name")
    assert modules_in(tmp_path) == ["pack", "pack.part", "single"]
    with pytest.raises(BadProgram, match="sandbox's own"):
        modules_in(write(tmp_path, heap=""))


async def test_a_syntax_error_ends_a_build_before_it_begins(tmp_path: Path) -> None:
    project = read_project(write(tmp_path / "p", main="x = (\n"))
    with pytest.raises(BadProgram, match=r"main\.py, line 1"):
        await build(project, tmp_path / "home", 10, NoProgress())


async def test_a_package_that_nobody_has_is_told_by_name(tmp_path: Path) -> None:
    (tmp_path / "pip.conf").write_text("")
    with pytest.raises(BadProgram, match="the packages cannot be fetched"):
        await fetch([str(tmp_path / "nothing-here.whl")], tmp_path / "out", 60)


@pytest.mark.wasm
async def test_the_list_of_standard_modules_is_what_the_runner_has(sandbox: Sandbox) -> None:
    text = (
        "import sys\n\ndef main():\n"
        "    roots = sys.stdlib_module_names\n"
        "    return sorted(name for name in sys.modules if name.partition('.')[0] in roots)\n"
    )
    found = set(json.loads(await sandbox.result(text)))
    assert found == sandbox_modules(), "run scripts/sandbox_modules.py"
