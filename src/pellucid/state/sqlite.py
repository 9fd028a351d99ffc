"""The durable engine: SQLite in WAL mode, every commit synced before it is acknowledged.

One row of `rows` per row of a table, and the revision in `meta`; a group of batches is one SQLite
transaction, so a crash leaves all of it or none. SQLite's WAL recovery drops a torn tail by itself.
A lock file keeps a second agent off the same directory.
"""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import msgspec

from pellucid.state.log import StorageError, StorageFull
from pellucid.state.snapshot import Snapshot
from pellucid.state.tables import Key, Record, Stored, Table

logger = logging.getLogger(__name__)

SCHEMA_VERSION = 1
"""The layout this program writes, kept as SQLite's `user_version`. Raise it with an entry in `UPGRADES`."""

Upgrade = Callable[[sqlite3.Connection], None]

UPGRADES: Mapping[int, Upgrade] = {}
"""From version -> the step that brings it one version forward."""

_LAYOUT = (
    "CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID",
    "CREATE TABLE rows ("
    " tbl TEXT NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL,"
    " create_index INTEGER NOT NULL, modify_index INTEGER NOT NULL,"
    " PRIMARY KEY (tbl, key)) WITHOUT ROWID",
    "INSERT INTO meta VALUES ('revision', 0)",
)


class DirectoryInUse(StorageError):
    """Another agent has this data directory open."""


class SchemaTooNew(StorageError):
    """The directory was written by a newer program."""


class SqliteEngine:
    """Keeps commits in `<directory>/state.db`. The directory is made if absent, for its owner only."""

    blocking = True

    def __init__(
        self,
        directory: Path,
        tables: Iterable[Table[Any]],
        *,
        schema_version: int = SCHEMA_VERSION,
        upgrades: Mapping[int, Upgrade] = UPGRADES,
    ) -> None:
        """Open (or create) the store. Raises DirectoryInUse, SchemaTooNew, StorageError."""
        self._tables = {table.name: table for table in tables}
        self._directory = directory
        with self._storage_errors("open"), ExitStack() as undo:
            directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._lock = _locked(directory / "lock")
            undo.callback(os.close, self._lock)
            self._db = _opened(directory / "state.db")
            undo.callback(self._db.close)
            _bring_up_to(self._db, schema_version, upgrades)
            undo.pop_all()

    def load(self) -> Snapshot:
        """The state as of the last durable commit. Raises StorageError naming a row that can't be read."""
        with self._storage_errors("read"):
            (revision,) = self._db.execute("SELECT value FROM meta WHERE name = 'revision'").fetchone()
            stored_rows = self._db.execute("SELECT tbl, key, value, create_index, modify_index FROM rows")
            rows: dict[Table[Any], dict[Key, Stored[Any]]] = {}
            unknown: Counter[str] = Counter()
            for name, key_json, value, created, modified in stored_rows:
                table = self._tables.get(name)
                if table is None:
                    unknown[name] += 1
                    continue
                key, row = _decoded(table, key_json, value)
                rows.setdefault(table, {})[key] = Stored(row, created, modified)
        for name, count in unknown.items():
            logger.warning("ignoring %d rows of the unknown table %r; they stay on disk", count, name)
        return Snapshot.loaded(revision, rows)

    def append(self, revision: int, records: Sequence[Record]) -> None:
        """Write the records in one transaction and sync it. Raises StorageFull or StorageError."""
        with self._storage_errors("write to"), _transaction(self._db):
            for record in records:
                self._write(record)
            self._db.execute("UPDATE meta SET value = ? WHERE name = 'revision'", (revision,))

    def close(self) -> None:
        """Close the database and let another agent have the directory."""
        self._db.close()
        os.close(self._lock)

    def _write(self, record: Record) -> None:
        place = (record.table, msgspec.json.encode(record.key).decode())
        if record.value is None:
            self._db.execute("DELETE FROM rows WHERE tbl = ? AND key = ?", place)
        else:
            row = (*place, record.value, record.create_index, record.modify_index)
            self._db.execute("INSERT OR REPLACE INTO rows VALUES (?, ?, ?, ?, ?)", row)

    @contextmanager
    def _storage_errors(self, doing: str) -> Iterator[None]:
        try:
            yield
        except (OSError, sqlite3.Error) as error:
            if _is_full(error):
                raise StorageFull(
                    f"no space left in data directory {self._directory}; free some and try again"
                ) from error
            raise StorageError(f"cannot {doing} data directory {self._directory}: {error}") from error


def _is_full(error: Exception) -> bool:
    if isinstance(error, OSError):
        return error.errno in (errno.ENOSPC, errno.EDQUOT)
    return getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL


def _decoded(table: Table[Any], key_json: str, value: bytes) -> tuple[Key, Any]:
    try:
        key = tuple(msgspec.json.decode(key_json, type=list[str]))
        return key, table.decode(key, value)
    except ValueError as error:
        raise StorageError(f"cannot read the stored row {table.name} {key_json}: {error}") from error


def _locked(path: Path) -> int:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise DirectoryInUse(
            f"data directory {path.parent} is in use by another agent; stop it or choose another -data-dir"
        ) from error
    return descriptor


def _opened(path: Path) -> sqlite3.Connection:
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    try:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
    except BaseException:
        db.close()
        raise
    return db


def _bring_up_to(db: sqlite3.Connection, version: int, upgrades: Mapping[int, Upgrade]) -> None:
    """Create the layout, or upgrade an older one, in one transaction. Raises SchemaTooNew."""
    (found,) = db.execute("PRAGMA user_version").fetchone()
    if found > version:
        raise SchemaTooNew(
            f"the data directory has schema version {found}, this program knows {version}: run a newer one"
        )
    if found == version:
        return
    with _transaction(db):
        if found == 0:
            for statement in _LAYOUT:
                db.execute(statement)
        else:
            for step in range(found, version):
                upgrades[step](db)
        db.execute(f"PRAGMA user_version = {version:d}")
    if found:
        logger.info("upgraded the data directory from schema version %d to %d", found, version)


@contextmanager
def _transaction(db: sqlite3.Connection) -> Iterator[None]:
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise
