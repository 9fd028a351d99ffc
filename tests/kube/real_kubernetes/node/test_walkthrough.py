"""The walkthrough, command by command, on Kubernetes itself and with the image of the Containerfile."""

from __future__ import annotations

from pathlib import Path

import pytest

from pellucid.demo.telling import Telling
from pellucid.demo.walkthrough import walk_through
from tests.kube.real_kubernetes.node.commands import API_PORT, stage_on
from tests.kube.real_kubernetes.node.node import missing, node
from tests.walkthrough.walkthrough_files import OWN, originals

pytestmark = [pytest.mark.nightly, pytest.mark.root, pytest.mark.timeout(1200)]


@pytest.mark.parametrize("whose", ["originals", "own"])
def test_every_command_does_what_the_walkthrough_says(whose: str, tmp_path: Path) -> None:
    if reason := missing():
        pytest.skip(reason)
    files = originals() if whose == "originals" else OWN
    telling = Telling()
    with node(tmp_path) as plane, stage_on(plane, files, telling) as stage:
        walk_through(telling, stage, API_PORT)
    assert telling.failed == []
