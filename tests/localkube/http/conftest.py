"""An API server for one test."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.localkube.http.served import Served, serve


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    """With the objects that every cluster begins with; a module may put its own beside them."""
    served = await serve(tmp_path)
    yield served
    await served.close()
