"""The log against a dictionary: random histories of commits, some conditional, some concurrent.

The SQLite log is closed and opened again at random points; what it then holds must be what it
acknowledged, and no stamp may have fallen.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from pellucid.state.log import Log
from pellucid.state.snapshot import Conflict
from pellucid.state.sqlite import SqliteEngine
from pellucid.state.tables import BucketSelector, Change, Delete, RowSelector, Selector, TableSelector
from tests.state.things import THINGS, Thing, delete, key, put

NAMES = ["a", "b", "c", "d"]
names = st.sampled_from(NAMES)
changes = st.one_of(
    st.builds(put, names, st.sampled_from(["", "red", "blue"]), always=st.booleans()),
    st.builds(delete, names),
)
expectations = st.dictionaries(names, st.integers(0, 30), max_size=2)

SELECTORS: list[Selector] = [
    TableSelector(THINGS),
    *(RowSelector(THINGS, key(name)) for name in NAMES),
    *(BucketSelector(THINGS, "colour", colour) for colour in ("red", "blue")),
]

Row = tuple[Thing, int, int]
"""Value, create index, modify index."""


class LogMachine(RuleBasedStateMachine):
    """The memory engine."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.log = self.open()
        self.revision = 0
        self.rows: dict[str, Row] = {}
        self.stamps = dict.fromkeys(SELECTORS, 0)

    def open(self) -> Log:
        return Log()

    @rule(batch=st.lists(changes, min_size=1, max_size=4))
    def commit(self, batch: list[Change]) -> None:
        assert self.loop.run_until_complete(self.log.commit(batch)) == self.applied(batch)

    @rule(batch=st.lists(changes, min_size=1, max_size=2), expected=expectations)
    def commit_if(self, batch: list[Change], expected: Mapping[str, int]) -> None:
        expect = {(THINGS, key(name)): index for name, index in expected.items()}
        holds = all(self.modify_index(name) == index for name, index in expected.items())
        committing = self.log.commit(batch, expect=expect)
        if holds:
            assert self.loop.run_until_complete(committing) == self.applied(batch)
        else:
            with pytest.raises(Conflict) as raised:
                self.loop.run_until_complete(committing)
            (name,) = raised.value.key
            assert raised.value.actual == self.modify_index(name) != expected[name]

    @rule(name=names, colour=st.sampled_from(["", "red"]))
    def commit_on_what_was_read(self, name: str, colour: str) -> None:
        expect = {(THINGS, key(name)): self.modify_index(name)}
        batch: list[Change] = [put(name, colour)]
        assert self.loop.run_until_complete(self.log.commit(batch, expect=expect)) == self.applied(batch)

    @rule(batches=st.lists(st.lists(changes, min_size=1, max_size=2), min_size=2, max_size=6))
    def commit_at_once(self, batches: list[list[Change]]) -> None:
        async def all_of_them() -> list[int]:
            return await asyncio.gather(*(self.log.commit(batch) for batch in batches))

        assert self.loop.run_until_complete(all_of_them()) == [self.applied(batch) for batch in batches]

    def modify_index(self, name: str) -> int:
        return self.rows[name][2] if name in self.rows else 0

    def applied(self, batch: list[Change]) -> int:
        """The model's commit."""
        after = dict(self.rows)
        for change in batch:
            if isinstance(change, Delete):
                after.pop(change.key[0], None)
                continue
            thing = change.value
            known = after.get(thing.name)
            if known is None or known[0] != thing or change.always:
                created = self.revision + 1 if known is None else known[1]
                after[thing.name] = (thing, created, self.revision + 1)
        if after != self.rows:
            self.rows = after
            self.revision += 1
        return self.revision

    @invariant()
    def the_log_holds_what_the_model_holds(self) -> None:
        stored = self.log.snapshot().all(THINGS)
        held = {s.value.name: (s.value, s.create_index, s.modify_index) for s in stored}
        assert held == self.rows
        assert self.log.revision == self.revision

    @invariant()
    def no_stamp_falls(self) -> None:
        snapshot = self.log.snapshot()
        stamps = {selector: snapshot.stamp(selector) for selector in SELECTORS}
        assert all(stamps[selector] >= self.stamps[selector] for selector in SELECTORS)
        assert all(stamp <= self.revision for stamp in stamps.values())
        self.stamps = stamps

    def teardown(self) -> None:
        self.loop.run_until_complete(self.log.close())
        self.loop.close()


class SqliteLogMachine(LogMachine):
    """The SQLite engine, opened again now and then."""

    def open(self) -> Log:
        self.directory = tempfile.TemporaryDirectory()
        return Log(SqliteEngine(Path(self.directory.name), [THINGS]))

    @rule()
    def reopen(self) -> None:
        self.loop.run_until_complete(self.log.close())
        self.log = Log(SqliteEngine(Path(self.directory.name), [THINGS]))

    def teardown(self) -> None:
        super().teardown()
        self.directory.cleanup()


TestMemoryLog = LogMachine.TestCase
TestSqliteLog = SqliteLogMachine.TestCase
TestSqliteLog.settings = settings(max_examples=30)
