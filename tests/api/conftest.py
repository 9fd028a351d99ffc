"""A server as an agent assembles it, in this process and over real sockets."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.api.serving import ServedAgent


@pytest.fixture
async def agent() -> AsyncIterator[ServedAgent]:
    """A running agent named n1 with nothing registered but itself."""
    async with ServedAgent() as served:
        yield served
