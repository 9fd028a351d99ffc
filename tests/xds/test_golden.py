"""Views beside the resources they make; `--refresh-golden` rewrites the right-hand sides."""

from __future__ import annotations

from pathlib import Path

import pytest

from pellucid.xds.resources import message_of
from tests.xds import golden_yaml
from tests.xds.envoy import refusal

FILES = sorted(golden_yaml.GOLDEN.glob("*.yaml"))


@pytest.fixture(params=FILES, ids=lambda path: path.stem)
def path(request: pytest.FixtureRequest) -> Path:
    found: Path = request.param
    return found


def test_builders_make_what_the_golden_file_shows(path: Path, refresh_golden: bool) -> None:
    pairs = golden_yaml.cases(path)
    if refresh_golden:
        golden_yaml.write(path, pairs)
        pairs = golden_yaml.cases(path)
    assert [golden_yaml.shown(pair) for pair in pairs] == [pair.resource for pair in pairs]


def test_envoy_takes_the_resources_of_the_golden_file(path: Path, tmp_path: Path) -> None:
    resources = [message_of(pair.decoded()) for pair in golden_yaml.cases(path)]
    assert refusal(resources, tmp_path) == ""
