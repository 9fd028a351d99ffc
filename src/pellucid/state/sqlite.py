"""The durable engine: SQLite in WAL mode, every commit synced before it is acknowledged.

One row of `rows` per row of a table, and the revision in `meta`; a group of batches is one SQLite
transaction, so a crash leaves all of it or none. SQLite's WAL recovery drops a torn tail by itself.
A lock file keeps a second agent off the same directory.
"""

from __future__ import annotations

import fcntl
import logging
import os
import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from pellucid.state.log import StorageError, StorageFull
from pellucid.state.snapshot import Snapshot
from pellucid.state.tables import Batch, Key, Stored, Table

logger = logging.getLogger(__name__)

SCHEMA_VERSION = 1
"""The layout this program writes. Raise it together with an entry in `UPGRADES`."""

UPGRADES: Mapping[int, Callable[[sqlite3.Connection], None]] = {}
"""From version -> the step that brings it one version forward, inside one transaction."""

_LAYOUT = """
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS rows (
  tbl TEXT NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL,
  create_index INTEGER NOT NULL, modify_index INTEGER NOT NULL,
  PRIMARY KEY (tbl, key)
) WITHOUT ROWID;
"""


class DirectoryInUse(StorageError):
    """Another agent has this data directory open."""


class SchemaTooNew(StorageError):
    """The directory was written by a newer program."""


class SqliteEngine:
    """Keeps commits in `<directory>/state.db`. The directory is made if absent, for its owner only."""

    blocking = True

    def __init__(self, directory: Path, tables: Iterable[Table[Any]]) -> None:
        """Open (or create) the store. Raises DirectoryInUse, SchemaTooNew, StorageError."""
        self._tables = {table.name: table for table in tables}
        try:
            directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._lock = _locked(directory / "lock")
            self._db = _opened(directory / "state.db")
        except (OSError, sqlite3.Error) as error:
            raise StorageError(f"cannot open data directory {directory}: {error}") from error

    def load(self) -> Snapshot:
        """The state as of the last durable commit."""
        rows: dict[Table[Any], dict[Key, Stored[Any]]] = {}
        for name, key_json, value, created, modified in self._db.execute("SELECT * FROM rows"):
            table = self._tables.get(name)
            if table is None:
                logger.warning("ignoring rows of unknown table %r", name)
                continue
            key = tuple(msgspec.json.decode(key_json, type=list[str]))
            stored = Stored(table.decode(key, value), created, modified)
            rows.setdefault(table, {})[key] = stored
        return Snapshot.loaded(_meta(self._db, "revision"), rows)

    def append(self, batches: Sequence[Batch]) -> None:
        """Write the batches in one transaction and sync it. Raises StorageFull or StorageError."""
        try:
            with self._db:
                self._db.execute("BEGIN IMMEDIATE")
                for batch in batches:
                    self._write(batch)
                self._db.execute("UPDATE meta SET value = ? WHERE name = 'revision'", (batches[-1].revision,))
        except sqlite3.Error as error:
            if error.sqlite_errorcode == sqlite3.SQLITE_FULL:
                raise StorageFull("no space left in the data directory; free some and try again") from error
            raise StorageError(f"cannot write to the data directory: {error}") from error

    def close(self) -> None:
        """Close the database and let another agent have the directory."""
        self._db.close()
        os.close(self._lock)

    def _write(self, batch: Batch) -> None:
        for change in batch.touched:
            place = (change.table.name, msgspec.json.encode(change.key).decode())
            if change.after is None:
                self._db.execute("DELETE FROM rows WHERE tbl = ? AND key = ?", place)
            else:
                stored = change.after
                row = (*place, change.table.encode(stored.value), stored.create_index, stored.modify_index)
                self._db.execute("INSERT OR REPLACE INTO rows VALUES (?, ?, ?, ?, ?)", row)


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
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    db.executescript(_LAYOUT)
    db.execute("INSERT OR IGNORE INTO meta VALUES ('revision', 0), ('schema_version', ?)", (SCHEMA_VERSION,))
    _upgrade(db)
    return db


def _upgrade(db: sqlite3.Connection) -> None:
    version = _meta(db, "schema_version")
    if version > SCHEMA_VERSION:
        raise SchemaTooNew(
            f"the data directory has schema version {version}, this program knows {SCHEMA_VERSION}; "
            "run a newer program"
        )
    if version == SCHEMA_VERSION:
        return
    with db:
        db.execute("BEGIN IMMEDIATE")
        for step in range(version, SCHEMA_VERSION):
            UPGRADES[step](db)
        db.execute("UPDATE meta SET value = ? WHERE name = 'schema_version'", (SCHEMA_VERSION,))
    logger.info("upgraded the data directory from schema version %d to %d", version, SCHEMA_VERSION)


def _meta(db: sqlite3.Connection, name: str) -> int:
    (value,) = db.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
    return int(value)
