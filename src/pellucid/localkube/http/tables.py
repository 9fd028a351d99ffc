"""Answers as tables, for clients that print them. Source: meta.k8s.io/v1 Table."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import Any

from pellucid.localkube.types.columns import table_of
from pellucid.localkube.types.kinds import Resource

Object = dict[str, Any]


def table(
    resource: Resource,
    definition: Object | None,
    objects: Sequence[Object],
    now: datetime.datetime,
    metadata: Object,
    *,
    include: str = "Metadata",
) -> Object:
    """Objects as rows. include: Metadata, Object or None, what each row carries besides its cells."""
    columns, cells = table_of(resource, definition)
    return {
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": metadata,
        "columnDefinitions": [column.shown() for column in columns],
        "rows": [{"cells": cells(one, now), "object": _carried(one, include)} for one in objects],
    }


def _carried(value: Object, include: str) -> Object | None:
    match include:
        case "Object":
            return value
        case "None":
            return None
    return metadata_only(value)


def metadata_only(value: Object) -> Object:
    """Nothing of an object but its metadata."""
    return {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": value["metadata"]}
