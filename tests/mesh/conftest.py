"""Meshes that the tests of a module share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.mesh.mesh import Agent, running_agent


@pytest.fixture(scope="module")
def agent() -> Iterator[Agent]:
    """An agent that keeps nothing."""
    with running_agent() as running:
        yield running


@pytest.fixture
def fresh_agent() -> Iterator[Agent]:
    """An agent for one test alone."""
    with running_agent() as running:
        yield running
