"""Who set which field, and server-side apply.

A field's place is a path of steps as FieldsV1 writes them: `f:name` for a field, `k:{"name":"c"}` for an
element of a list that is a map, `v:"x"` for an element of a set, and `.` for the container itself.
Source: Kubernetes docs, "Server-Side Apply"; sigs.k8s.io/structured-merge-diff.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from pellucid.localkube.api.status import ApiError
from pellucid.localkube.types import schema as schemas
from pellucid.localkube.types.schema import Schema

Object = dict[str, Any]
Path = tuple[str, ...]
Leaves = dict[Path, Any]

_NOBODY_SETS = frozenset(
    {
        ("f:apiVersion",),
        ("f:kind",),
        *(
            ("f:metadata", f"f:{name}")
            for name in (
                "name",
                "namespace",
                "uid",
                "resourceVersion",
                "generation",
                "creationTimestamp",
                "deletionTimestamp",
                "deletionGracePeriodSeconds",
                "managedFields",
                "selfLink",
            )
        ),
    }
)


_NO_STATUS: tuple[Path, Any] = (("f:status",), {})


class Manager(msgspec.Struct, frozen=True):
    """One who sets fields, and in which way."""

    name: str
    operation: str
    """Apply or Update."""
    subresource: str = ""


def leaves(value: Object, schema: Schema) -> Leaves:
    """Every leaf of an object with its value."""
    found: Leaves = {}
    for name, one in value.items():
        for path, leaf in _leaves(one, schemas.field(schema, name) or schemas.ANY, (f"f:{name}",)):
            if path[:1] not in _NOBODY_SETS and path[:2] not in _NOBODY_SETS and (path, leaf) != _NO_STATUS:
                found[path] = leaf
    return found


def _leaves(value: Any, schema: Schema, path: Path) -> Iterator[tuple[Path, Any]]:
    node = schemas.resolved(schema)
    if isinstance(value, dict) and value and not _is_atomic_map(schema, node):
        if schemas.is_map(schema):
            yield (*path, "."), {}
        for name, one in value.items():
            yield from _leaves(one, schemas.field(node, name) or schemas.ANY, (*path, f"f:{name}"))
    elif isinstance(value, list) and _list_type(schema) == "set":
        for one in value:
            yield (*path, f"v:{_json(one)}"), one
    elif isinstance(value, list) and value and _list_type(schema) == "map":
        element = schemas.items(node)
        for one in value:
            step = (*path, _element_step(one, schema))
            yield (*step, "."), {}
            for name, inner in one.items():
                yield from _leaves(inner, schemas.field(element, name) or schemas.ANY, (*step, f"f:{name}"))
    else:
        yield path, value


def _is_atomic_map(schema: Schema, node: Schema) -> bool:
    return "atomic" in (schema.get("x-kubernetes-map-type"), node.get("x-kubernetes-map-type"))


def _list_type(schema: Schema) -> str:
    stated = schema.get("x-kubernetes-list-type")
    if stated is None and "merge" in str(schema.get("x-kubernetes-patch-strategy", "")).split(","):
        stated = "map" if "x-kubernetes-patch-merge-key" in schema else "set"
    return str(stated or "atomic")


def _keys(schema: Schema) -> Sequence[str]:
    stated = schema.get("x-kubernetes-list-map-keys") or [schema["x-kubernetes-patch-merge-key"]]
    return list(stated)


def _element_step(element: Mapping[str, Any], schema: Schema) -> str:
    defaults = {"protocol": "TCP"}
    keys = {key: element.get(key, defaults.get(key)) for key in sorted(_keys(schema))}
    return f"k:{_json({key: value for key, value in keys.items() if value is not None})}"


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


# managedFields entries


def owners(value: Object) -> dict[Manager, frozenset[Path]]:
    """Who owns what, from an object's managedFields."""
    entries = value["metadata"].get("managedFields") or ()
    return {
        Manager(entry["manager"], entry["operation"], entry.get("subresource", "")): frozenset(
            _paths(entry.get("fieldsV1") or {}, ())
        )
        for entry in entries
    }


def _paths(fields: Mapping[str, Any], path: Path) -> Iterator[Path]:
    for step, inner in fields.items():
        if inner:
            yield from _paths(inner, (*path, step))
        else:
            yield (*path, step)


def _fields(paths: frozenset[Path]) -> Object:
    tree: Object = {}
    for path in sorted(paths):
        place = tree
        for step in path:
            place = place.setdefault(step, {})
    return tree


def _entries(
    old: Object | None, owned: Mapping[Manager, frozenset[Path]], api_version: str, now: str
) -> list[Object]:
    before = {} if old is None else owners(old)
    times = {} if old is None else _times(old)
    entries = []
    for manager, paths in owned.items():
        if not paths:
            continue
        entry = {
            "manager": manager.name,
            "operation": manager.operation,
            "apiVersion": api_version,
            "time": times.get(manager, now) if before.get(manager) == paths else now,
            "fieldsType": "FieldsV1",
            "fieldsV1": _fields(paths),
        }
        if manager.subresource:
            entry["subresource"] = manager.subresource
        entries.append(entry)
    return entries


def _times(value: Object) -> dict[Manager, str]:
    return {
        Manager(entry["manager"], entry["operation"], entry.get("subresource", "")): entry.get("time", "")
        for entry in value["metadata"].get("managedFields") or ()
    }


def updated(
    old: Object | None, new: Object, schema: Schema, manager: Manager, api_version: str, now: str
) -> list[Object]:
    """managedFields after a write that is not an apply: the writer owns what it changed."""
    before = {} if old is None else leaves(old, schema)
    after = leaves(new, schema)
    changed = frozenset(path for path, value in after.items() if path not in before or before[path] != value)
    owned = {one: (paths - changed) & after.keys() for one, paths in (owners(old) if old else {}).items()}
    if changed:
        owned[manager] = owned.get(manager, frozenset()) | changed
    return _entries(old, owned, api_version, now)


class Applied(msgspec.Struct, frozen=True):
    """An object after an apply, and who owns what then."""

    value: Object
    owned: dict[Manager, frozenset[Path]]

    def entries(self, old: Object | None, api_version: str, now: str) -> list[Object]:
        """The managedFields to store."""
        return _entries(old, self.owned, api_version, now)


def applied(
    old: Object | None,
    configuration: Object,
    schema: Schema,
    manager: Manager,
    *,
    force: bool,
    defaulted: Object | None = None,
) -> Applied:
    """The object as server-side apply leaves it. Raises ApiError 409 naming every conflict.

    defaulted: the configuration with its defaults; a live value equal to one of its is no conflict.
    """
    wanted = leaves(configuration, schema)
    if old is None:
        return Applied(configuration, {manager: frozenset(wanted)})
    live = leaves(old, schema)
    owned = owners(old)
    filled = leaves(defaulted or configuration, schema)
    contested = frozenset(
        path
        for path, value in wanted.items()
        if path in live and live[path] not in (value, filled.get(path, value))
    )
    if not force:
        _refuse_conflicts(contested, owned, manager, old)
    given_up = owned.get(manager, frozenset()) - wanted.keys()
    others = {one: paths - contested for one, paths in owned.items() if one != manager}
    unwanted = [path for path in given_up if not any(path in paths for paths in others.values())]
    merged = _merged(copy.deepcopy(old), configuration, schema)
    gone = _unwanted_elements(unwanted, others)
    for path in (*gone, *sorted(unwanted, key=lambda path: (-len(path), path[-1] == "."))):
        _remove(merged, path)
    return Applied(merged, {**others, manager: frozenset(wanted)})


def _unwanted_elements(unwanted: Sequence[Path], others: Mapping[Manager, frozenset[Path]]) -> Iterator[Path]:
    """Elements that nobody wants a field of. They go whole, while their keys can still be found."""
    for path in unwanted:
        if path[-1] == "." and path[-2].startswith("k:"):
            element = path[:-1]
            if not any(each[: len(element)] == element for paths in others.values() for each in paths):
                yield path


def _refuse_conflicts(
    contested: frozenset[Path], owned: Mapping[Manager, frozenset[Path]], manager: Manager, old: Object
) -> None:
    clashes = [
        (one, path)
        for one, paths in sorted(owned.items(), key=lambda item: item[0].name)
        if one != manager
        for path in sorted(contested & paths)
        if path[-1] != "."
    ]
    if not clashes:
        return

    written = {
        Manager(entry["manager"], entry["operation"], entry.get("subresource", "")): entry
        for entry in old["metadata"].get("managedFields") or ()
    }

    def told(one: Manager) -> str:
        through = f' with subresource "{one.subresource}"' if one.subresource else ""
        if one.operation == "Apply":
            return f'"{one.name}"{through}'
        entry = written[one]
        when = f" at {entry['time']}" if entry.get("time") else ""
        return f'"{one.name}"{through} using {entry.get("apiVersion", old["apiVersion"])}{when}'

    if len(clashes) == 1:
        one, path = clashes[0]
        message = f"Apply failed with 1 conflict: conflict with {told(one)}: {dotted(path)}"
    else:
        lines = [f"Apply failed with {len(clashes)} conflicts:"]
        for one in dict.fromkeys(one for one, _ in clashes):
            lines.append(f"conflicts with {told(one)}:")
            lines += [f"- {dotted(path)}" for other, path in clashes if other == one]
        message = "\n".join([" ".join(lines[:2]), *lines[2:]])
    causes = [
        {
            "reason": "FieldManagerConflict",
            "message": f"conflict with {told(one)}",
            "field": dotted(path),
        }
        for one, path in clashes
    ]
    raise ApiError(409, "Conflict", message, {"causes": causes})


def dotted(path: Path) -> str:
    """A path as people read it: `.spec.containers[name="c"].image`."""
    text = ""
    for step in path:
        kind, _, rest = step.partition(":")
        match kind:
            case "f":
                text += f".{rest}"
            case "k":
                keys = msgspec.json.decode(rest)
                text += "[" + ",".join(f"{key}={_json(value)}" for key, value in keys.items()) + "]"
            case "v":
                text += f"[={rest}]"
    return text


def _merged(live: Any, configuration: Any, schema: Schema) -> Any:
    node = schemas.resolved(schema)
    if isinstance(live, dict) and isinstance(configuration, dict) and not _is_atomic_map(schema, node):
        for name, value in configuration.items():
            inner = schemas.field(node, name) or schemas.ANY
            live[name] = _merged(live[name], value, inner) if name in live else value
        return live
    if isinstance(live, list) and isinstance(configuration, list):
        match _list_type(schema):
            case "set":
                return [*live, *(one for one in configuration if one not in live)]
            case "map":
                return _merged_elements(live, configuration, schema)
    return configuration


def _merged_elements(live: list[Any], configuration: list[Any], schema: Schema) -> list[Any]:
    places = {_element_step(one, schema): place for place, one in enumerate(live)}
    for element in configuration:
        place = places.get(_element_step(element, schema))
        if place is None:
            live.append(element)
        else:
            live[place] = _merged(live[place], element, schemas.items(schema))
    return live


def _remove(value: Any, path: Path) -> None:
    """Take a leaf away; a container element goes when its `.` does."""
    steps = path[:-1] if path[-1] == "." else path
    place = value
    for step in steps[:-1]:
        place = _step_into(place, step)
        if place is None:
            return
    last = steps[-1]
    if isinstance(place, dict) and last.startswith("f:"):
        if path[-1] != "." or not place.get(last[2:]):
            place.pop(last[2:], None)
    elif isinstance(place, list):
        found = _step_into(place, last)
        if found is not None:
            place.remove(found)


def _step_into(place: Any, step: str) -> Any:
    kind, _, rest = step.partition(":")
    if kind == "f" and isinstance(place, dict):
        return place.get(rest)
    if not isinstance(place, list):
        return None
    wanted = msgspec.json.decode(rest)
    if kind == "v":
        return wanted if wanted in place else None
    defaults = {"protocol": "TCP"}
    return next(
        (
            one
            for one in place
            if all(one.get(key, defaults.get(key)) == value for key, value in wanted.items())
        ),
        None,
    )
