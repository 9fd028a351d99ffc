"""The table of kinds, and that every one of them has a schema."""

from __future__ import annotations

import pytest

from pellucid.localkube.types.kinds import BUILT_IN, PODS, Resource, resource_of
from pellucid.localkube.types.schema import field, schema_of


@pytest.mark.parametrize("resource", BUILT_IN, ids=lambda resource: f"{resource.api_version} {resource.kind}")
def test_every_kind_has_a_schema_that_knows_its_metadata(resource: Resource) -> None:
    metadata = field(schema_of(resource), "metadata")
    assert metadata is not None
    assert field(metadata, "name") == {"type": ["string", "null"]}


def test_names_lead_to_resources() -> None:
    assert resource_of("", "pods") is PODS
    assert resource_of("", "pods", "v2") is None
    budget = resource_of("policy", "poddisruptionbudgets")
    assert budget is not None
    assert budget.version == "v1"


def test_no_two_kinds_share_a_name() -> None:
    assert len({(one.group, one.version, one.plural) for one in BUILT_IN}) == len(BUILT_IN)
