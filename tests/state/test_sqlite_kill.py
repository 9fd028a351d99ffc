"""Killed at any moment, the SQLite log has everything it acknowledged, and whole commits only.

A child commits as fast as it can, several commits at a time, and prints each revision once it is
acknowledged. It is killed at a random moment; then its directory is opened and compared.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pellucid.state.log import Log
from pellucid.state.sqlite import SqliteEngine
from tests.state.things import THINGS, put

ROWS_PER_COMMIT = 3


def commit_for_ever(directory: Path) -> None:
    """The child's part. Every commit puts its number into the same three rows and one of its own."""

    async def committer(log: Log, lane: int) -> None:
        number = 0
        while True:
            number += 1
            rows = [put(f"lane{lane}-{row}", str(number)) for row in range(ROWS_PER_COMMIT)]
            revision = await log.commit([*rows, put(f"lane{lane}-commit{number}")])
            os.write(1, f"{revision} {lane} {number}\n".encode())

    async def main() -> None:
        log = Log(SqliteEngine(directory, [THINGS]))
        await asyncio.gather(*(committer(log, lane) for lane in range(4)))

    asyncio.run(main())


def acknowledged_before_kill(directory: Path, random: random.Random) -> list[tuple[int, int, int]]:
    """Start the child, kill it after some acknowledgements and a random while, and read what it said."""
    root = str(Path(__file__).parents[2])
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([root, *sys.path])}
    command = [sys.executable, "-m", __name__, str(directory)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as child:
        assert child.stdout is not None
        said = b"".join(child.stdout.readline() for _ in range(random.randrange(1, 40)))
        assert said, "the child committed nothing"
        for _ in range(random.randrange(20_000)):
            pass  # an instant within a commit, not only right after an acknowledgement
        child.send_signal(signal.SIGKILL)
        said += child.stdout.read()
    lines = said.decode().splitlines()
    return [tuple(map(int, line.split())) for line in lines]  # type: ignore[misc]


def assert_nothing_lost(directory: Path, acknowledged: list[tuple[int, int, int]]) -> None:
    engine = SqliteEngine(directory, [THINGS])
    state = engine.load()
    engine.close()
    rows = {stored.value.name: stored.value.colour for stored in state.all(THINGS)}
    assert state.revision >= max(revision for revision, _, _ in acknowledged)
    for _, lane, number in acknowledged:
        assert f"lane{lane}-commit{number}" in rows
    for lane in {lane for _, lane, _ in acknowledged}:
        (last,) = {int(rows[f"lane{lane}-{row}"]) for row in range(ROWS_PER_COMMIT)}
        assert last >= max(number for _, its_lane, number in acknowledged if its_lane == lane)
        assert f"lane{lane}-commit{last}" in rows


def kill_and_compare(directory: Path, kills: int) -> None:
    for seed in range(kills):
        acknowledged = acknowledged_before_kill(directory / str(seed), random.Random(seed))
        assert_nothing_lost(directory / str(seed), acknowledged)


def test_nothing_acknowledged_is_lost_by_being_killed(tmp_path: Path) -> None:
    kill_and_compare(tmp_path, 20)


@pytest.mark.nightly
@pytest.mark.timeout(600)
def test_nothing_acknowledged_is_lost_by_being_killed_two_hundred_times(tmp_path: Path) -> None:
    kill_and_compare(tmp_path, 200)


def test_a_directory_whose_agent_was_killed_is_not_in_use(tmp_path: Path) -> None:
    """Killed twice on one directory: the lock goes with the process, and what was there stays."""
    first = acknowledged_before_kill(tmp_path, random.Random(1))
    assert_nothing_lost(tmp_path, first)
    second = acknowledged_before_kill(tmp_path, random.Random(2))
    assert_nothing_lost(tmp_path, second)
    assert min(revision for revision, _, _ in second) > max(revision for revision, _, _ in first)


if __name__ == "__main__":
    commit_for_ever(Path(sys.argv[1]))
