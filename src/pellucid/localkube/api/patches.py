"""The three ways of changing an object by saying what is different.

JSON Patch: RFC 6902. Merge patch: RFC 7386. Strategic merge patch: Kubernetes docs, "Update API Objects
in Place Using kubectl patch" and sig-api-machinery's "strategic-merge-patch.md".
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

from pellucid.localkube.types import schema as schemas
from pellucid.localkube.types.schema import Schema


class PatchError(ValueError):
    """The patch cannot be applied to this object; says why."""


def merge_patch(target: Any, patch: Any) -> Any:
    """RFC 7386: maps merge, null deletes, everything else replaces."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge_patch(merged.get(key), value)
    return merged


def json_patch(target: Any, operations: Any) -> Any:
    """RFC 6902. Raises PatchError."""
    if not isinstance(operations, list):
        raise PatchError("a JSON patch must be a list of operations")
    document = copy.deepcopy(target)
    for operation in operations:
        document = _operated(document, operation)
    return document


def _operated(document: Any, operation: Mapping[str, Any]) -> Any:
    try:
        kind, path = operation["op"], _pointer(operation["path"])
        match kind:
            case "add":
                return _added(document, path, operation["value"])
            case "remove":
                return _removed(document, path)
            case "replace":
                _found(document, path)
                return _added(_removed(document, path), path, operation["value"])
            case "move":
                source = _pointer(operation["from"])
                moved = _found(document, source)
                return _added(_removed(document, source), path, moved)
            case "copy":
                return _added(document, path, copy.deepcopy(_found(document, _pointer(operation["from"]))))
            case "test":
                if _found(document, path) != operation["value"]:
                    raise PatchError(f"testing value {operation['path']} failed: test failed")
                return document
    except (KeyError, TypeError, AttributeError) as error:
        raise PatchError(f"the operation {operation!r} is incomplete or malformed: {error}") from error
    raise PatchError(f"Unexpected kind: {kind}")


def _pointer(path: str) -> tuple[str, ...]:
    if path == "":
        return ()
    if not path.startswith("/"):
        raise PatchError(f"the path {path!r} must start with a slash")
    return tuple(step.replace("~1", "/").replace("~0", "~") for step in path[1:].split("/"))


def _child(container: Any, step: str, path: Sequence[str]) -> Any:
    if isinstance(container, dict) and step in container:
        return container[step]
    if isinstance(container, list):
        return container[_position(container, step, len(container) - 1)]
    raise PatchError(f'the path "/{"/".join(path)}" does not exist: missing value')


def _position(container: list[Any], step: str, highest: int) -> int:
    if not step.isdigit() or int(step) > highest:
        raise PatchError(f"invalid index referenced: {step}")
    return int(step)


def _found(document: Any, path: Sequence[str]) -> Any:
    for step in path:
        document = _child(document, step, path)
    return document


def _added(document: Any, path: Sequence[str], value: Any) -> Any:
    if not path:
        return value
    container, last = _found(document, path[:-1]), path[-1]
    if isinstance(container, list):
        place = len(container) if last == "-" else _position(container, last, len(container))
        container.insert(place, value)
    elif isinstance(container, dict):
        container[last] = value
    else:
        raise PatchError(f'the path "/{"/".join(path)}" does not lead into an object')
    return document


def _removed(document: Any, path: Sequence[str]) -> Any:
    if not path:
        return None
    container, last = _found(document, path[:-1]), path[-1]
    _child(container, last, path)
    if isinstance(container, list):
        del container[int(last)]
    else:
        del container[last]
    return document


_DELETE_FROM = "$deleteFromPrimitiveList/"
_ORDER = "$setElementOrder/"


def strategic_merge_patch(target: Any, patch: Any, schema: Schema) -> Any:
    """Merge by the kind's own merge keys and strategies. Raises PatchError."""
    if not isinstance(patch, dict):
        raise PatchError("a strategic merge patch must be an object")
    return _merged_map(target if isinstance(target, dict) else {}, patch, schema)


def _merged_map(target: Mapping[str, Any], patch: Mapping[str, Any], schema: Schema) -> dict[str, Any]:
    directive = patch.get("$patch")
    if directive == "replace":
        return {key: value for key, value in patch.items() if key != "$patch"}
    if directive == "delete":
        return {}
    merged = dict(target)
    if "$retainKeys" in patch:
        merged = {key: value for key, value in merged.items() if key in patch["$retainKeys"]}
    for key, value in patch.items():
        if key.startswith(_DELETE_FROM):
            name = key.removeprefix(_DELETE_FROM)
            merged[name] = [one for one in merged.get(name) or () if one not in value]
    for key, value in patch.items():
        if key.startswith("$"):
            continue
        if value is None:
            merged.pop(key, None)
            continue
        order = patch.get(_ORDER + key)
        merged[key] = _merged_value(merged.get(key), value, schemas.field(schema, key) or schemas.ANY, order)
    for key, order in patch.items():
        name = key.removeprefix(_ORDER)
        if key.startswith(_ORDER) and name not in patch and isinstance(merged.get(name), list):
            merged[name] = _in_order(merged[name], order, _merge_key(schemas.field(schema, name)))
    return merged


def _strategy(schema: Schema | None) -> tuple[str, ...]:
    return tuple(str((schema or {}).get("x-kubernetes-patch-strategy", "")).split(","))


def _merge_key(schema: Schema | None) -> str:
    return str((schema or {}).get("x-kubernetes-patch-merge-key", ""))


def _merged_value(target: Any, value: Any, schema: Schema, order: Any) -> Any:
    strategy = _strategy(schema)
    if isinstance(value, dict):
        if "replace" in strategy and "$patch" not in value:
            return value
        return _merged_map(target if isinstance(target, dict) else {}, value, schema)
    if isinstance(value, list):
        if "merge" not in strategy:
            return [one for one in value if not (isinstance(one, dict) and "$patch" in one)]
        key = _merge_key(schema)
        current = target if isinstance(target, list) else []
        merged = _merged_list(current, value, key, schema) if key else _merged_primitives(current, value)
        return _in_order(merged, order, key) if order else merged
    return value


def _merged_primitives(target: Sequence[Any], patch: Sequence[Any]) -> list[Any]:
    return [*target, *(one for one in patch if one not in target)]


def _merged_list(target: Sequence[Any], patch: Sequence[Any], key: str, schema: Schema) -> list[Any]:
    if any(one.get("$patch") == "replace" for one in patch):
        return [one for one in patch if "$patch" not in one]
    merged = list(target)
    for element in patch:
        if key not in element:
            raise PatchError(f"map: {element} does not contain declared merge key: {key}")
        place = next((n for n, one in enumerate(merged) if one.get(key) == element[key]), None)
        if element.get("$patch") == "delete":
            merged = [one for one in merged if one.get(key) != element[key]]
        elif place is None:
            merged.append(_merged_map({}, element, schemas.items(schema)))
        else:
            merged[place] = _merged_map(merged[place], element, schemas.items(schema))
    return merged


def _in_order(elements: Sequence[Any], order: Sequence[Any], key: str) -> list[Any]:
    """The listed ones in the listed order; what is not listed keeps its place among its neighbours."""
    wanted = [one.get(key) if key and isinstance(one, dict) else one for one in order]
    identity = [one.get(key) if key else one for one in elements]
    listed = [
        element for name in wanted for element, own in zip(elements, identity, strict=True) if own == name
    ]
    if not listed:
        return list(elements)
    arranged: list[Any] = []
    upcoming = iter(listed)
    for element, own in zip(elements, identity, strict=True):
        arranged.append(next(upcoming) if own in wanted else element)
    return arranged
