"""The tenants' store: bounded, durable, and alive after every damage."""

import logging
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pie.application.store import FILE, MOST_KEY_BYTES, MOST_LISTED, Store, StoreSettings
from pie.core.errors import InvalidArgument, LimitExceeded, Unavailable


@pytest.fixture(params=["memory", "durable"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    store = Store(StoreSettings(tmp_path / "store" if request.param == "durable" else None))
    yield store
    store.close()


def test_what_is_set_can_be_read_replaced_and_deleted(store: Store) -> None:
    assert store.get("t", "key") is None
    store.set("t", "key", "one")
    store.set("t", "key", "two")
    assert (store.get("t", "key"), store.exists("t", "key")) == ("two", True)
    assert store.delete("t", "key")
    assert not store.delete("t", "key")
    assert (store.get("t", "key"), store.exists("t", "key")) == (None, False)


@pytest.mark.parametrize("text", ["", "ä €🎈", "a\0b", "'; DROP TABLE entries; --", "%_*?[a]"])
def test_any_text_is_a_value_and_any_but_the_empty_one_a_key(store: Store, text: str) -> None:
    store.set("t", f"k{text}", text)
    assert store.get("t", f"k{text}") == text
    assert store.keys("t", f"k{text}") == [f"k{text}"]


def test_keys_are_listed_in_order_and_by_prefix(store: Store) -> None:
    for key in ("b", "a/2", "a/10", "a", "á", "a%"):
        store.set("t", key, "")
    assert store.keys("t", "") == sorted(["b", "a/2", "a/10", "a", "á", "a%"])
    assert store.keys("t", "a/") == ["a/10", "a/2"]


def test_tenants_do_not_see_one_another(store: Store) -> None:
    store.set("mine", "key", "secret")
    assert (store.get("theirs", "key"), store.keys("theirs", "")) == (None, [])
    assert not store.delete("theirs", "key")
    assert store.get("mine", "key") == "secret"


@pytest.mark.parametrize("key", ["", "x" * (MOST_KEY_BYTES + 1), "ä" * MOST_KEY_BYTES])
def test_keys_have_a_length(store: Store, key: str) -> None:
    with pytest.raises(InvalidArgument, match="1 to 1024 bytes"):
        store.set("t", key, "")


def test_a_tenant_has_so_many_keys_and_no_more() -> None:
    store = Store(StoreSettings(keys_each=2))
    store.set("t", "a", "")
    store.set("t", "b", "")
    with pytest.raises(LimitExceeded, match="delete some first"):
        store.set("t", "c", "")
    store.set("t", "b", "still possible")
    store.set("other", "c", "")
    store.delete("t", "a")
    store.set("t", "c", "")
    assert store.keys("t", "") == ["b", "c"]
    store.close()


def test_a_tenant_has_so_many_bytes_and_a_refused_value_changes_nothing() -> None:
    store = Store(StoreSettings(bytes_each=100))
    store.set("t", "key", "x" * 90)
    with pytest.raises(LimitExceeded, match="at most"):
        store.set("t", "key", "x" * 98)
    assert store.get("t", "key") == "x" * 90
    store.set("t", "key", "x" * 97)
    store.set("t", "key", "")
    store.set("t", "more", "x" * 93)
    store.close()


def test_too_many_keys_for_one_answer_are_refused() -> None:
    store = Store(StoreSettings())
    for i in range(MOST_LISTED + 1):
        store._database().execute("INSERT INTO entries VALUES ('t', ?, '', 1)", (str(i),))
    with pytest.raises(LimitExceeded, match="ask for fewer"):
        store.keys("t", "")
    assert len(store.keys("t", "9")) > 1000
    store.close()


def test_a_restart_loses_nothing(tmp_path: Path) -> None:
    first = Store(StoreSettings(tmp_path))
    first.set("t", "key", "value")
    first.close()
    second = Store(StoreSettings(tmp_path, keys_each=1))
    assert second.get("t", "key") == "value"
    with pytest.raises(LimitExceeded):
        second.set("t", "another", "")
    second.close()


def test_what_was_acknowledged_survives_a_kill(tmp_path: Path) -> None:
    program = (
        "import os, sys, signal\n"
        "from pathlib import Path\n"
        "from pie.application.store import Store, StoreSettings\n"
        "store = Store(StoreSettings(Path(sys.argv[1])))\n"
        "for i in range(20): store.set('t', str(i), 'x' * 1000)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    killed = subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=False, timeout=60)
    assert killed.returncode == -9
    store = Store(StoreSettings(tmp_path))
    assert len(store.keys("t", "")) == 20
    store.close()


def test_two_processes_share_one_file(tmp_path: Path) -> None:
    first, second = Store(StoreSettings(tmp_path)), Store(StoreSettings(tmp_path))
    first.set("t", "a", "1")
    second.set("t", "b", "2")
    assert (first.keys("t", ""), second.keys("t", "")) == (["a", "b"], ["a", "b"])
    first.close()
    second.close()


@pytest.mark.parametrize("damage", [b"this is no database" * 500, b""], ids=["garbage", "empty"])
def test_a_file_that_is_no_database_is_moved_aside(
    tmp_path: Path, damage: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / FILE).write_bytes(damage)
    store = Store(StoreSettings(tmp_path))
    with caplog.at_level(logging.WARNING):
        store.set("t", "key", "value")
    assert store.get("t", "key") == "value"
    store.close()
    kept = [path for path in tmp_path.iterdir() if "damaged" in path.name]
    assert [path.read_bytes() for path in kept] == ([damage] if damage else [])
    assert ("was damaged" in caplog.text) == bool(damage)


def test_a_page_that_was_overwritten_is_noticed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    store = Store(StoreSettings(tmp_path))
    for i in range(60):
        store.set("t", str(i), "x" * 1000)
    store.close()
    content = bytearray((tmp_path / FILE).read_bytes())
    content[4096 * 2 : 4096 * 6] = b"\xff" * 4096 * 4
    (tmp_path / FILE).write_bytes(content)
    store = Store(StoreSettings(tmp_path))
    with caplog.at_level(logging.WARNING):
        assert store.keys("t", "") == []
    assert "moved aside" in caplog.text
    store.close()


def test_damage_while_it_runs_is_told_and_the_next_call_works(tmp_path: Path) -> None:
    store = Store(StoreSettings(tmp_path))
    store.set("t", "key", "value")

    def break_it(database: sqlite3.Connection) -> None:
        del database
        error = sqlite3.DatabaseError("database disk image is malformed")
        error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
        raise error

    with pytest.raises(Unavailable, match="an empty one takes its place"):
        store._do(break_it)
    assert store.get("t", "key") is None
    store.close()


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    store = Store(StoreSettings(tmp_path / "file" / "store"))
    with pytest.raises(Unavailable, match="PIE_HOME"):
        store.set("t", "key", "value")
    store.close()


def test_a_full_disk_is_told_and_changes_nothing(tmp_path: Path) -> None:
    store = Store(StoreSettings(tmp_path))
    store.set("t", "key", "before")
    store._database().execute("PRAGMA max_page_count = 5")
    with pytest.raises(Unavailable, match="full"):
        store.set("t", "key", "x" * 100_000)
    assert store.get("t", "key") == "before"
    store.close()
