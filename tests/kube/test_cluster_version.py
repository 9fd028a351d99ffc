"""Which release an API server is of."""

from __future__ import annotations

import pytest

from pellucid.kube.cluster_version import release_of


@pytest.mark.parametrize(
    ("text", "release"),
    [
        ("v1.37.1", (1, 37)),
        ("v1.29.4-gke.1043002", (1, 29)),
        ("v1.31.2+k3s1", (1, 31)),
        ("v2.0.0-alpha.1", (2, 0)),
        ("unknown", (0, 0)),
    ],
)
def test_the_release_is_told_by_the_git_version(text: str, release: tuple[int, int]) -> None:
    assert release_of({"major": "", "minor": "", "gitVersion": text}) == release
