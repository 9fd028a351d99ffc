"""Bodies of requests: JSON, YAML or protobuf, and what in them is said twice.

Source: texts as sigs.k8s.io/json and sigs.k8s.io/yaml give them through kube-apiserver 1.30.
"""

from __future__ import annotations

import json
from typing import Any

import msgspec
import yaml

from pellucid.localkube.api.status import bad_request, unsupported_media_type
from pellucid.localkube.http.connection import Request
from pellucid.localkube.http.protobuf import MAGIC, decode_object

Object = dict[str, Any]

PROTOBUF = "application/vnd.kubernetes.protobuf"
MOST_YAML_NODES = 200_000
"""A document that its aliases make larger than this is refused."""


def media_type(request: Request) -> str:
    """The body's format without its parameters; JSON if nothing is said."""
    return request.headers.get("content-type", "application/json").split(";")[0].strip().lower()


def body_object(request: Request) -> Object:
    """The object in a body. Raises ApiError 400, 415."""
    kind = media_type(request)
    if kind == PROTOBUF or request.body.startswith(MAGIC):
        try:
            return decode_object(request.body)
        except (ValueError, KeyError, IndexError) as error:
            raise bad_request(f"the protobuf body cannot be read: {error}") from None
    if kind == "application/yaml":
        value = yaml_of(request.body)
    elif kind in ("application/json", "text/plain", ""):
        value = json_of(request.body)
    else:
        raise unsupported_media_type(("application/json", "application/yaml", PROTOBUF))
    if not isinstance(value, dict):
        raise bad_request("the body is not an object")
    return value


def json_of(body: bytes) -> Any:
    """Raises ApiError 400."""
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise bad_request(f"the object provided is unrecognized: couldn't parse as JSON: {error}") from None
    except RecursionError:
        raise bad_request("the object provided is unrecognized: exceeded max depth") from None


class _Loader(yaml.SafeLoader):
    """YAML as JSON could say it: times stay texts, keys occur once."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - the library's own name
        first: [one for one in resolvers if one[0] != "tag:yaml.org,2002:timestamp"]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Raises ConstructorError for a key that is there already."""
        seen: set[str] = set()
        for key, _ in node.value:
            name = str(key.value)
            if name in seen and key.tag != "tag:yaml.org,2002:merge":
                problem = f'key "{name}" already set in map'
                raise yaml.constructor.ConstructorError(None, None, problem, key.start_mark)
            seen.add(name)
        return super().construct_mapping(node, deep=deep)


def yaml_of(body: bytes) -> Any:
    """YAML, of which JSON is the part that can be read fast. Raises ApiError 400."""
    try:
        if body.lstrip()[:1] == b"{":
            return msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError):
        pass
    try:
        value = yaml.load(body, _Loader)  # noqa: S506 - a SafeLoader
        _check_size(value)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        raise bad_request(f"error decoding YAML: yaml: line {line}: {error.problem}") from None
    except (yaml.YAMLError, ValueError, UnicodeDecodeError) as error:
        raise bad_request(f"error decoding YAML: {error}") from None
    except RecursionError:
        raise bad_request("error decoding YAML: exceeded max depth") from None
    return value


def _check_size(value: Any) -> None:
    pending, count = [value], 0
    while pending:
        one = pending.pop()
        count += 1
        if count > MOST_YAML_NODES:
            raise ValueError("document contains excessive aliasing")
        if isinstance(one, dict):
            if not all(isinstance(key, str) for key in one):
                raise ValueError("every key must be a string")
            pending.extend(one.values())
        elif isinstance(one, list):
            pending.extend(one)


class _Read(dict[str, Any]):
    """An object of JSON text, and which of its fields occurred again."""

    repeated: tuple[str, ...] = ()


def repeated_fields(body: bytes) -> tuple[str, ...]:
    """The paths of the fields that occur twice in an object of JSON text; none if it is no JSON text."""
    try:
        read = json.loads(body, object_pairs_hook=_read)
    except (ValueError, RecursionError):
        return ()
    found: list[str] = []
    _collect(read, "", found)
    return tuple(found)


def _read(pairs: list[tuple[str, Any]]) -> _Read:
    read = _Read(pairs)
    if len(read) != len(pairs):
        seen: set[str] = set()
        again = [name for name, _ in pairs if name in seen or seen.add(name)]  # type: ignore[func-returns-value]
        read.repeated = tuple(dict.fromkeys(again))
    return read


def _collect(value: Any, path: str, found: list[str]) -> None:
    if isinstance(value, _Read):
        found += [f"{path}.{name}" if path else name for name in value.repeated]
        for name, one in value.items():
            _collect(one, f"{path}.{name}" if path else name, found)
    elif isinstance(value, list):
        for place, one in enumerate(value):
            _collect(one, f"{path}[{place}]", found)
