"""A small key-value store for each tenant, in SQLite: durable in a file, or in memory.

Everything here runs on the store's own thread (`Store.thread`), so that no disk holds up the event loop. A
write is on the disk before it is answered. Several processes may share the file.
"""

import logging
import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pie.application.cache import private_folder
from pie.core.errors import InvalidArgument, LimitExceeded, Unavailable

T = TypeVar("T")

FILE = "store.sqlite"
MOST_KEY_BYTES = 1024
MOST_LISTED = 10_000
"""Keys in one answer."""
BUSY_SECONDS = 5.0
"""How long to wait for another process that writes."""
SCHEMA = """
CREATE TABLE IF NOT EXISTS entries (
    tenant TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL, size INTEGER NOT NULL,
    PRIMARY KEY (tenant, key)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS totals (
    tenant TEXT PRIMARY KEY, keys INTEGER NOT NULL, bytes INTEGER NOT NULL
) WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True)
class StoreSettings:
    folder: Path | None = None
    """None: in memory."""
    keys_each: int = 100_000
    """Of one tenant."""
    bytes_each: int = 64 << 20
    """Keys and values of one tenant."""


class Store:
    """Opened at the first use. Each call raises `Unavailable` where the disk is full or broken."""

    def __init__(self, settings: StoreSettings) -> None:
        self.thread = ThreadPoolExecutor(1, "pie-store")
        self._settings = settings
        self._connection: sqlite3.Connection | None = None

    def close(self) -> None:
        """Waits for what is being written."""
        self.thread.submit(self._close)
        self.thread.shutdown()

    def get(self, tenant: str, key: str) -> str | None:
        def read(database: sqlite3.Connection) -> str | None:
            found = database.execute("SELECT value FROM entries WHERE tenant = ? AND key = ?", (tenant, key))
            row = found.fetchone()
            return None if row is None else str(row[0])

        return self._do(read)

    def exists(self, tenant: str, key: str) -> bool:
        def look(database: sqlite3.Connection) -> bool:
            return _size(database, tenant, key) is not None

        return self._do(look)

    def set(self, tenant: str, key: str, value: str) -> None:
        """Raises `InvalidArgument` for a bad key, `LimitExceeded` where the tenant has too much."""
        size = check_key(key) + len(value.encode())

        def write(database: sqlite3.Connection) -> None:
            before = _size(database, tenant, key)
            self._count(database, tenant, 0 if before is not None else 1, size - (before or 0))
            database.execute("REPLACE INTO entries VALUES (?, ?, ?, ?)", (tenant, key, value, size))

        self._do(_in_transaction(write))

    def delete(self, tenant: str, key: str) -> bool:
        """Whether it was there."""

        def remove(database: sqlite3.Connection) -> bool:
            size = _size(database, tenant, key)
            if size is not None:
                database.execute("DELETE FROM entries WHERE tenant = ? AND key = ?", (tenant, key))
                self._count(database, tenant, -1, -size)
            return size is not None

        return self._do(_in_transaction(remove))

    def keys(self, tenant: str, prefix: str) -> list[str]:
        """In order. Raises `LimitExceeded` where there are too many for one answer."""

        def read(database: sqlite3.Connection) -> list[str]:
            keys: list[str] = []
            query = "SELECT key FROM entries WHERE tenant = ? AND key >= ? ORDER BY key"
            for (key,) in database.execute(query, (tenant, prefix)):
                if not key.startswith(prefix):
                    break
                keys.append(key)
                if len(keys) > MOST_LISTED:
                    raise LimitExceeded(f"more than {MOST_LISTED} keys begin with {prefix!r}: ask for fewer")
            return keys

        return self._do(read)

    def _count(self, database: sqlite3.Connection, tenant: str, keys: int, size: int) -> None:
        database.execute("INSERT OR IGNORE INTO totals VALUES (?, 0, 0)", (tenant,))
        change = "UPDATE totals SET keys = keys + ?, bytes = bytes + ? WHERE tenant = ?"
        database.execute(change, (keys, size, tenant))
        totals = database.execute("SELECT keys, bytes FROM totals WHERE tenant = ?", (tenant,))
        all_keys, all_bytes = totals.fetchone()
        most = self._settings
        if (keys > 0 and all_keys > most.keys_each) or (size > 0 and all_bytes > most.bytes_each):
            raise LimitExceeded(
                f"the store would have {all_keys} keys with {all_bytes} bytes; a tenant has at most "
                f"{most.keys_each} with {most.bytes_each}: delete some first"
            )

    def _do(self, work: Callable[[sqlite3.Connection], T]) -> T:
        try:
            return work(self._database())
        except sqlite3.DatabaseError as error:
            if not _is_damage(error):
                raise Unavailable(f"the store failed: {error}; free some space or set PIE_HOME") from None
            self._move_aside(error)
            raise Unavailable(f"the store was damaged ({error}): an empty one takes its place") from None

    def _database(self) -> sqlite3.Connection:
        if self._connection is None:
            try:
                self._connection = self._open()
            except sqlite3.DatabaseError as error:
                if not _is_damage(error):
                    raise
                self._move_aside(error)
                self._connection = self._open()
        return self._connection

    def _open(self) -> sqlite3.Connection:
        folder = self._settings.folder
        place = ":memory:" if folder is None else private_folder(folder) / FILE
        database = sqlite3.connect(place, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
        try:
            database.execute("PRAGMA journal_mode = WAL")
            database.execute("PRAGMA synchronous = FULL")
            check = database.execute("PRAGMA quick_check(1)").fetchone()[0]
            if check != "ok":
                raise Damaged(check)
            database.executescript(SCHEMA)
        except BaseException:
            database.close()
            raise
        return database

    def _move_aside(self, error: sqlite3.DatabaseError) -> None:
        """A damaged file is kept for whoever wants to look at it."""
        self._close()
        folder = self._settings.folder
        if folder is None:
            return
        suffix = time.strftime("damaged-%Y%m%d-%H%M%S")
        for name in (FILE, f"{FILE}-wal", f"{FILE}-shm"):
            if (folder / name).exists():
                (folder / name).rename(folder / f"{name}.{suffix}")
        logging.getLogger(__name__).warning(
            "the programs' store was damaged (%s): moved aside as %s, and an empty one begun",
            error,
            folder / f"{FILE}.{suffix}",
        )

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class Damaged(sqlite3.DatabaseError):
    """SQLite's own check of the file found something."""


def _is_damage(error: sqlite3.DatabaseError) -> bool:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return isinstance(error, Damaged) or code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def check_key(key: str) -> int:
    """Its size in bytes."""
    size = len(key.encode())
    if not 0 < size <= MOST_KEY_BYTES:
        raise InvalidArgument(f"a key has 1 to {MOST_KEY_BYTES} bytes, not {size}")
    return size


def _size(database: sqlite3.Connection, tenant: str, key: str) -> int | None:
    found = database.execute("SELECT size FROM entries WHERE tenant = ? AND key = ?", (tenant, key))
    row = found.fetchone()
    return None if row is None else int(row[0])


def _in_transaction(work: Callable[[sqlite3.Connection], T]) -> Callable[[sqlite3.Connection], T]:
    def run(database: sqlite3.Connection) -> T:
        database.execute("BEGIN IMMEDIATE")
        try:
            value = work(database)
            database.execute("COMMIT")
        except BaseException:
            if database.in_transaction:
                database.execute("ROLLBACK")
            raise
        return value

    return run
