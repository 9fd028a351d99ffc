"""A process that is killed while it stores objects loses none that it has answered."""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path

from pellucid.localkube.api.objects import OBJECTS
from pellucid.localkube.types.kinds import CONFIG_MAPS
from pellucid.state.log import Log
from pellucid.state.sqlite import SqliteEngine

WRITER = """
import asyncio, sys
from pathlib import Path
from pellucid.localkube.api.objects import OBJECTS
from pellucid.localkube.types.kinds import CONFIG_MAPS
from pellucid.state.log import Log
from pellucid.state.sqlite import SqliteEngine
from tests.localkube.api.cluster import config_map, resources_with_default_namespace

async def write():
    log = Log(SqliteEngine(Path(sys.argv[1]), (OBJECTS,)))
    resources = await resources_with_default_namespace(log)
    async def many(part):
        for number in range(1_000_000):
            made = await resources.create(CONFIG_MAPS, "default", config_map(f"c-{part}-{number}"))
            print(made["metadata"]["name"], made["metadata"]["resourceVersion"], flush=True)
    await asyncio.gather(*(many(part) for part in range(10)))

asyncio.run(write())
"""


async def test_every_object_that_was_answered_is_there_again(tmp_path: Path) -> None:
    writer = await asyncio.create_subprocess_exec(
        sys.executable, "-c", WRITER, str(tmp_path), stdout=asyncio.subprocess.PIPE
    )
    assert writer.stdout is not None
    answered = [await writer.stdout.readline() for _ in range(300)]
    writer.send_signal(signal.SIGKILL)
    answered += [line for line in (await writer.stdout.read()).splitlines(keepends=True) if b"\n" in line]
    await writer.wait()
    log = Log(SqliteEngine(tmp_path, (OBJECTS,)))
    rows = log.snapshot().rows(OBJECTS, "resource", CONFIG_MAPS.stored)
    kept = {row.value.name: row.value.value["metadata"]["resourceVersion"] for row in rows}
    await log.close()
    told = dict(line.decode().split() for line in answered)
    assert len(told) >= 300
    assert told.items() <= kept.items()
