"""The chart as Helm renders it, without a cluster."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import yaml
from helm_python import Chart

CHART = Path(__file__).parents[2] / "charts" / "pellucid"
NOTES = "NOTES.txt"

Values = dict[str, Any]


class Rendered(msgspec.Struct, frozen=True):
    """objects: by kind and name."""

    objects: Mapping[tuple[str, str], Any]
    notes: str

    def __getitem__(self, key: tuple[str, str]) -> Any:
        return self.objects[key]

    def names(self) -> list[str]:
        return sorted(f"{kind} {name}" for kind, name in self.objects)


@cache
def _chart() -> Chart:
    return Chart.load(str(CHART))


def render(*changes: Mapping[str, Any], release: str = "consul", namespace: str = "default") -> Rendered:
    """The chart with these values, each written as a dotted path; a later one counts."""
    values: Values = {}
    for change in changes:
        for path, value in change.items():
            put(values, path, value)
    texts = _chart().render(values, name=release, namespace=namespace)
    notes = "".join(text for file, text in texts.items() if file.endswith(NOTES))
    documents = (
        document
        for file, text in sorted(texts.items())
        if file.endswith(".yaml")
        for document in yaml.safe_load_all(text)
        if document
    )
    return Rendered({(each["kind"], each["metadata"]["name"]): each for each in documents}, notes)


def put(values: Values, path: str, value: object) -> None:
    *parents, last = path.split(".")
    for parent in parents:
        values = values.setdefault(parent, {})
    values[last] = value


def leaves(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every value that is no mapping, or an empty one, by its dotted path."""
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from leaves(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def read_yaml(file: Path) -> Any:
    return yaml.safe_load(file.read_text())
