"""The CustomResourceDefinitions that the chart carries."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from pellucid.kube.controllers.config_entries.kinds import KINDS, CustomKind
from pellucid.kube.controllers.config_entries.schema import definition
from tests.kube.controllers.config_entries.test_validation import VALID

FILES = Path(__file__).parents[4] / "charts" / "pellucid" / "files" / "crds"

each_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)


class PlainDumper(yaml.SafeDumper):
    """Writes every part in full, where it belongs."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def written(kind: CustomKind) -> str:
    return yaml.dump(definition(kind), Dumper=PlainDumper, sort_keys=False, width=110)


@each_kind
def test_the_charts_file_is_what_the_entrys_type_makes(kind: CustomKind, refresh_golden: bool) -> None:
    file = FILES / f"{kind.plural}.yaml"
    if refresh_golden:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(written(kind))
    assert file.read_text() == written(kind)


def test_the_chart_has_no_other_definitions() -> None:
    assert {file.stem for file in FILES.iterdir()} == {kind.plural for kind in KINDS}


def unknown_fields(schema: dict[str, Any], value: Any, path: str = "spec") -> Iterator[str]:
    """The fields of a value that the API server would drop."""
    if schema.get("x-kubernetes-preserve-unknown-fields"):
        return
    if isinstance(value, dict):
        for key, item in value.items():
            inner = schema.get("properties", {}).get(key) or schema.get("additionalProperties")
            if inner is None:
                yield f"{path}.{key}"
            else:
                yield from unknown_fields(inner, item, f"{path}.{key}")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from unknown_fields(schema["items"], item, f"{path}[{index}]")


@each_kind
def test_every_field_that_means_something_is_kept_by_the_api_server(kind: CustomKind) -> None:
    version = definition(kind)["spec"]["versions"][0]
    spec = version["schema"]["openAPIV3Schema"]["properties"]["spec"]
    assert list(unknown_fields(spec, VALID[kind.name])) == []
    assert "name" not in spec["properties"], "a resource is named by its metadata"
