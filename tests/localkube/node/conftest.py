# ruff: noqa: ASYNC240
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.localkube.node.one_node import Node, api_objects, kubelet_on, own_network, processes_of


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[Node]:
    """A node with nothing on it, of which nothing may be left after the test."""
    async with own_network(), kubelet_on(await api_objects(), tmp_path) as node:
        yield node
    assert not processes_of(tmp_path)
    assert not list(Path("/sys/fs/cgroup").glob(f"*/localkube-test-{os.getpid()}"))
    assert str(tmp_path) not in Path("/proc/mounts").read_text()
