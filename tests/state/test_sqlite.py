"""The SQLite engine: what it keeps, and what it says when it cannot."""

from __future__ import annotations

import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pellucid.state.log import Log, StorageError, StorageFull
from pellucid.state.sqlite import SCHEMA_VERSION, SchemaTooNew, SqliteEngine
from pellucid.state.tables import Put, Table
from tests.state.things import THINGS, Thing, delete, put

OBJECTS = Table.of("objects", Thing, lambda thing: (thing.name,))


def opened(directory: Path, *tables: Table[Thing]) -> Log:
    return Log(SqliteEngine(directory, tables or [THINGS]))


def database(directory: Path) -> sqlite3.Connection:
    return sqlite3.connect(directory / "state.db", isolation_level=None)


def names(log: Log) -> list[str]:
    return [stored.value.name for stored in log.snapshot().all(THINGS)]


async def test_rows_indexes_and_revision_survive_a_restart(tmp_path: Path) -> None:
    log = opened(tmp_path)
    await log.commit([put("a", "red", "x")])
    await log.commit([put("b"), put("a", "blue", "x")])
    await log.commit([delete("b")])
    rows = log.snapshot().all(THINGS)
    await log.close()
    log = opened(tmp_path)
    assert log.revision == 3
    assert log.snapshot().all(THINGS) == rows
    assert log.snapshot().rows(THINGS, "tag", "x") == rows
    await log.close()


async def test_every_commit_is_synced_to_the_disk_before_it_is_answered(tmp_path: Path) -> None:
    engine = SqliteEngine(tmp_path, [THINGS])
    assert engine._db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert engine._db.execute("PRAGMA synchronous").fetchone() == (2,), "FULL"
    engine.close()


async def test_the_directory_and_its_files_are_for_their_owner_only(tmp_path: Path) -> None:
    directory = tmp_path / "made" / "data"
    log = opened(directory)
    await log.commit([put("a")])
    modes = {place.name: stat.S_IMODE(place.stat().st_mode) for place in directory.iterdir()}
    assert set(modes.values()) == {0o600}
    assert {"state.db", "state.db-wal", "lock"} <= set(modes)
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    await log.close()


async def test_rows_of_a_table_this_program_does_not_know_stay_on_disk(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    log = opened(tmp_path, THINGS, OBJECTS)
    await log.commit([put("a"), *(Put(OBJECTS, Thing(name)) for name in "xyz")])
    await log.close()
    log = opened(tmp_path, THINGS)
    assert names(log) == ["a"]
    assert "ignoring 3 rows of the unknown table 'objects'" in caplog.text
    await log.commit([put("b")])
    await log.close()
    log = opened(tmp_path, THINGS, OBJECTS)
    assert len(log.snapshot().all(OBJECTS)) == 3
    await log.close()


# Who may open it


def test_a_second_agent_on_the_same_directory_is_refused(tmp_path: Path) -> None:
    first = SqliteEngine(tmp_path, [THINGS])
    script = (
        "import sys, pathlib\n"
        "from pellucid.state.sqlite import SqliteEngine, DirectoryInUse\n"
        "try: SqliteEngine(pathlib.Path(sys.argv[1]), [])\n"
        "except DirectoryInUse as error: print(error)\n"
    )
    second = [sys.executable, "-c", script, str(tmp_path)]
    said = subprocess.run(second, capture_output=True, text=True, check=True).stdout
    assert "is in use by another agent; stop it or choose another -data-dir" in said
    assert str(tmp_path) in said
    first.close()
    assert subprocess.run(second, capture_output=True, text=True, check=True).stdout == ""


def test_the_directory_is_free_again_after_opening_it_failed(tmp_path: Path) -> None:
    SqliteEngine(tmp_path, [THINGS]).close()
    for _ in range(2):
        with pytest.raises(SchemaTooNew):
            SqliteEngine(tmp_path, [THINGS], schema_version=SCHEMA_VERSION - 1)
    SqliteEngine(tmp_path, [THINGS]).close()


def test_a_path_that_cannot_be_a_directory_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match=r"cannot open data directory .*/file/data"):
        SqliteEngine(tmp_path / "file" / "data", [THINGS])


def test_a_file_that_is_no_database_is_named_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "state.db").write_bytes(b"something else entirely" * 100)
    with pytest.raises(StorageError, match=r"cannot open data directory .*not a database"):
        SqliteEngine(tmp_path, [THINGS])
    assert (tmp_path / "state.db").read_bytes() == b"something else entirely" * 100


async def test_a_row_that_cannot_be_decoded_is_named(tmp_path: Path) -> None:
    log = opened(tmp_path)
    await log.commit([put("a")])
    await log.close()
    db = database(tmp_path)
    db.execute("UPDATE rows SET value = x'00'")
    db.close()
    with pytest.raises(StorageError, match=r"cannot read the stored row things \[\"a\"\]"):
        opened(tmp_path)


# Schema versions


def test_a_newer_schema_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    db = database(tmp_path)
    db.execute("CREATE TABLE of_the_future (x)")
    db.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    db.close()
    with pytest.raises(SchemaTooNew, match=f"schema version {SCHEMA_VERSION + 1}, this program knows"):
        SqliteEngine(tmp_path, [THINGS])
    db = database(tmp_path)
    assert db.execute("SELECT name FROM sqlite_schema").fetchall() == [("of_the_future",)]
    db.close()


class TwoVersionsOn:
    """A program two schema versions ahead: in between, a table was renamed and a column added."""

    def __init__(self) -> None:
        self.ran: list[str] = []
        self.fails = False

    def rename(self, db: sqlite3.Connection) -> None:
        self.ran.append("rename")
        db.execute("UPDATE rows SET tbl = 'things' WHERE tbl = 'objects'")

    def add_column(self, db: sqlite3.Connection) -> None:
        self.ran.append("add column")
        if self.fails:
            raise sqlite3.OperationalError("an upgrade that fails")
        db.execute("ALTER TABLE meta ADD COLUMN note TEXT")

    def open(self, directory: Path) -> Log:
        upgrades = {SCHEMA_VERSION: self.rename, SCHEMA_VERSION + 1: self.add_column}
        version = SCHEMA_VERSION + 2
        return Log(SqliteEngine(directory, [THINGS], schema_version=version, upgrades=upgrades))


@pytest.fixture
async def older(tmp_path: Path) -> Path:
    """A data directory of today's version, with one row."""
    log = opened(tmp_path, OBJECTS)
    await log.commit([Put(OBJECTS, Thing("a"))])
    await log.close()
    return tmp_path


async def test_upgrades_run_once_in_order(older: Path) -> None:
    newer = TwoVersionsOn()
    for _ in range(2):
        log = newer.open(older)
        assert (names(log), log.revision) == (["a"], 1)
        await log.close()
    assert newer.ran == ["rename", "add column"]
    with pytest.raises(SchemaTooNew):
        opened(older)


async def test_an_upgrade_that_fails_half_way_leaves_everything_as_it_was(older: Path) -> None:
    newer = TwoVersionsOn()
    newer.fails = True
    with pytest.raises(StorageError, match="an upgrade that fails"):
        newer.open(older)
    log = opened(older, OBJECTS)
    assert len(log.snapshot().all(OBJECTS)) == 1
    await log.close()
    newer.fails = False
    log = newer.open(older)
    assert names(log) == ["a"]
    await log.close()


# A full disk, a torn tail


async def fill(log: Log) -> None:
    for i in range(10_000):
        await log.commit([put(f"filler{i}", "x" * 10_000)])


async def assert_a_full_disk_is_survived(log: Log, make_room: Callable[[], object]) -> None:
    await log.commit([put("kept")])
    with pytest.raises(StorageFull, match=r"no space left in data directory .*; free some and try again"):
        await fill(log)
    before = log.revision
    assert "kept" in names(log)
    assert log.head is log.snapshot()
    with pytest.raises(StorageFull):
        await log.commit([put("big", "x" * 1_000_000)])
    make_room()
    assert await log.commit([put("after")]) == before + 1


async def test_a_full_database_is_a_clear_error_and_reads_go_on(tmp_path: Path) -> None:
    engine = SqliteEngine(tmp_path, [THINGS])
    engine._db.execute("PRAGMA max_page_count = 50")
    log = Log(engine)
    await assert_a_full_disk_is_survived(log, lambda: engine._db.execute("PRAGMA max_page_count = 5000"))
    acknowledged = log.snapshot().all(THINGS)
    await log.close()
    log = opened(tmp_path)
    assert log.snapshot().all(THINGS) == acknowledged
    await log.close()


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one mebibyte."""
    place = tmp_path / "disk"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)], check=True)
    yield place
    subprocess.run(["umount", str(place)], check=True)


@pytest.mark.root
async def test_a_full_disk_is_a_clear_error_and_reads_go_on(tiny_disk: Path) -> None:
    log = opened(tiny_disk / "data")

    def grow() -> None:
        subprocess.run(["mount", "-o", "remount,size=8m", str(tiny_disk)], check=True)

    await assert_a_full_disk_is_survived(log, grow)
    acknowledged = log.snapshot().all(THINGS)
    await log.close()
    log = opened(tiny_disk / "data")
    assert log.snapshot().all(THINGS) == acknowledged
    await log.close()


@pytest.mark.root
def test_a_disk_too_full_to_open_is_a_clear_error(tiny_disk: Path) -> None:
    with pytest.raises(OSError, match="No space left"):
        (tiny_disk / "filler").write_bytes(b"x" * 2**20 * 2)
    with pytest.raises(StorageFull, match="no space left in data directory"):
        SqliteEngine(tiny_disk / "data", [THINGS])


@pytest.mark.parametrize("torn_bytes", [1, 100, 4_096 + 24, 8_000])
async def test_a_torn_tail_loses_only_what_it_tore(tmp_path: Path, torn_bytes: int) -> None:
    """As if the power went while the last commit was being written: the log's tail is half there."""
    log = opened(tmp_path)
    for i in range(5):
        await log.commit([put(f"t{i}", "x" * 5_000)])
    database, tail = tmp_path / "state.db", tmp_path / "state.db-wal"
    before_the_last = tail.stat().st_size
    await log.commit([put("last", "x" * 5_000)])
    assert tail.stat().st_size - before_the_last > torn_bytes
    crashed = tmp_path / "crashed"
    crashed.mkdir()
    (crashed / database.name).write_bytes(database.read_bytes())
    (crashed / tail.name).write_bytes(tail.read_bytes()[:-torn_bytes])
    await log.close()
    log = opened(crashed)
    assert (log.revision, names(log)) == (5, [f"t{i}" for i in range(5)])
    assert await log.commit([put("next")]) == 6
    await log.close()
