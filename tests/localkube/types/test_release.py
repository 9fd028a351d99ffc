"""Which release of Kubernetes a cluster says it is, and what follows."""

from __future__ import annotations

import pytest

from pellucid.localkube.types.kinds import PODS
from pellucid.localkube.types.release import InvalidRelease, Release, parse_release
from tests.localkube.api.cluster import pod, resources_with_default_namespace

SIDECAR = {"name": "s", "image": "busybox", "restartPolicy": "Always"}


@pytest.mark.parametrize(
    ("text", "said"),
    [("1.27", "v1.27.0"), ("v1.29.2", "v1.29.2"), ("v1.37", "v1.37.0"), ("1.30.14", "v1.30.14")],
)
def test_a_release_is_written_with_or_without_its_patch(text: str, said: str) -> None:
    assert str(parse_release(text)) == said


@pytest.mark.parametrize("text", ["1.26", "1.38", "2.0", "latest", "", "1.29.2-alpha"])
def test_what_is_not_offered_is_refused_with_the_text(text: str) -> None:
    with pytest.raises(InvalidRelease, match=repr(text)):
        parse_release(text)


@pytest.mark.parametrize(("minor", "kept"), [(28, None), (29, "Always")])
async def test_native_sidecars_are_known_from_1_29(minor: int, kept: str | None) -> None:
    resources = await resources_with_default_namespace(release=Release(minor))
    made = await resources.create(PODS, "default", pod("p", initContainers=[SIDECAR]))
    assert made["spec"]["initContainers"][0].get("restartPolicy") == kept
