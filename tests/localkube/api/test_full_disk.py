"""A disk that is full: nothing is stored, everything can be read, and it goes on once there is room."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from pellucid.localkube.api.objects import OBJECTS
from pellucid.localkube.api.status import ApiError
from pellucid.localkube.types.kinds import CONFIG_MAPS
from pellucid.state.log import Log
from pellucid.state.sqlite import SqliteEngine
from tests.localkube.api.cluster import config_map, resources_with_default_namespace


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own of 2 MiB; needs root."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(tmp_path)], check=True)
    yield tmp_path
    subprocess.run(["umount", str(tmp_path)], check=True)


async def test_a_full_disk_is_said_reading_goes_on_and_room_helps(small_disk: Path) -> None:
    log = Log(SqliteEngine(small_disk / "state", (OBJECTS,)))
    resources = await resources_with_default_namespace(log)
    watching = resources.watch(CONFIG_MAPS, "default", since=resources.revision)
    await resources.create(CONFIG_MAPS, "default", config_map("first"))
    (small_disk / "other").write_bytes(b"x" * (1 << 20))
    stored = 0

    async def fill() -> None:
        nonlocal stored
        for stored in range(100):
            await resources.create(CONFIG_MAPS, "default", config_map(f"c-{stored}", much="x" * 100_000))

    with pytest.raises(ApiError) as refusal:
        await fill()
    assert (refusal.value.code, refusal.value.reason) == (507, "InsufficientStorage")
    assert "no space left" in refusal.value.message
    assert len(await resources.list(CONFIG_MAPS, "default")) == stored + 1
    assert resources.peek(CONFIG_MAPS, "default", f"c-{stored}") is None
    (small_disk / "other").unlink()
    await resources.create(CONFIG_MAPS, "default", config_map("last"))
    seen = [(await anext(watching)).object["metadata"]["name"] for _ in range(stored + 2)]
    assert (seen[0], seen[-1]) == ("first", "last")
    resources.close()
    await log.close()
    again = Log(SqliteEngine(small_disk / "state", (OBJECTS,)))
    assert len(again.snapshot().rows(OBJECTS, "resource", CONFIG_MAPS.stored)) == stored + 2
    await again.close()
